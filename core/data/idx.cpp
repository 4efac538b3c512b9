// SPDX-License-Identifier: BSD-3-Clause
// Reading IDX files, and the two data sets that are known by name.
#include "data/idx.h"

#include <torch/types.h>

#include <array>
#include <cstdio>

#include "data/file.h"

namespace foil {
namespace {

// The tensor of unsigned bytes in an IDX file of an allowed number of dimensions; `noun` is what its rows are.
Tensor read_idx(const std::string& path, int low, int high, const char* noun) {
  ByteReader file(path);
  std::array<uint8_t, 4> magic{};
  if (file.read(magic.data(), 4) < 4) fail(Exit::data, path, ": the file ends inside its header.");
  const int dimensions = magic[3];
  if (magic[0] != 0 || magic[1] != 0 || magic[2] != 8 || dimensions < low || dimensions > high) {
    std::array<char, 16> got{};
    std::snprintf(got.data(), got.size(), "%02x %02x %02x %02x", magic[0], magic[1], magic[2], magic[3]);
    fail(Exit::data, path, ": starts with ", got.data(), ", expected for ", noun, ": 00 00 08 0", low,
         low == high ? std::string() : " or 00 00 08 0" + std::to_string(high), ".");
  }
  std::vector<int64_t> sizes;
  double elements = 1;  // a product of four 32-bit numbers fits no integer
  for (int d = 0; d < dimensions; ++d) {
    std::array<uint8_t, 4> word{};
    if (file.read(word.data(), 4) < 4) fail(Exit::data, path, ": the file ends inside its header.");
    sizes.push_back(int64_t{word[0]} << 24 | int64_t{word[1]} << 16 | int64_t{word[2]} << 8 | int64_t{word[3]});
    elements *= static_cast<double>(sizes.back());
  }
  for (int d = 1; d < dimensions; ++d) {
    if (sizes[static_cast<size_t>(d)] == 0) fail(Exit::data, path, ": ", noun, " of size ", at::IntArrayRef(sizes).slice(1), ".");
  }
  // Deflate expands at most 1032 times: a header that promises more than that is not believed.
  const double most = 1032.0 * static_cast<double>(file_size(path));
  if (elements > most) {
    fail(Exit::data, path, ": ", sizes[0], " ", noun, " expected, a file of ", file_size(path), " bytes cannot hold them.");
  }
  Tensor data = torch::empty(sizes, torch::kByte);
  const int64_t got = file.read(data.mutable_data_ptr(), data.numel());
  if (got < data.numel()) {
    fail(Exit::data, path, ": ", sizes[0], " ", noun, " expected, the file ends after ", got / (data.numel() / sizes[0]), ".");
  }
  uint8_t more = 0;
  if (file.read(&more, 1) > 0) fail(Exit::data, path, ": ", sizes[0], " ", noun, " expected, the file goes on after them.");
  return data;
}

Table read_table(const std::string& images, const std::string& labels) {
  Table table;
  table.data = read_idx(images, 3, 4, "images");
  if (table.data.dim() == 3) table.data = table.data.unsqueeze(1);
  if (!labels.empty()) {
    table.label = read_idx(labels, 1, 1, "labels").to(torch::kLong);
    if (table.label.size(0) != table.data.size(0)) {
      fail(Exit::data, labels, ": ", table.label.size(0), " labels, but ", images, " holds ", table.data.size(0), " images.");
    }
  }
  return table;
}

Contents read_idx_folder(const Idx::Options& options) {
  if (options.path.empty()) fail(Exit::usage, "data.path is not given: the folder of the IDX files.");
  if (options.train_images.empty()) fail(Exit::usage, "data.train_images is empty: the file of the training images.");
  if (!options.test_images.empty() && options.train_labels.empty() != options.test_labels.empty()) {
    fail(Exit::usage, "data.train_labels = '", options.train_labels, "', data.test_labels = '", options.test_labels,
         "': give both, or neither.");
  }
  auto file = [&](const std::string& name) { return name.empty() ? name : plain_or_gz(options.path, name); };
  Contents contents;
  contents.train = read_table(file(options.train_images), file(options.train_labels));
  if (!options.test_images.empty()) contents.test = read_table(file(options.test_images), file(options.test_labels));
  int64_t classes = 0;
  for (const Tensor& label : {contents.train.label, contents.test.label}) {
    if (label.defined() && label.numel() > 0) classes = std::max(classes, label.max().item<int64_t>() + 1);
  }
  for (int64_t c = 0; c < classes; ++c) contents.classes.push_back(std::to_string(c));
  return contents;
}

// The four files of MNIST or of a set made to replace it: ten classes, with these names.
Contents read_mnist(const std::string& folder, std::vector<std::string> names) {
  Idx::Options options;
  options.path = folder;
  Contents contents = read_idx_folder(options);
  const auto classes = static_cast<int64_t>(names.size());
  for (Split split : {Split::train, Split::test}) {
    const Tensor& label = split == Split::train ? contents.train.label : contents.test.label;
    const Tensor wrong = (label >= classes).nonzero();
    if (wrong.numel() == 0) continue;
    const int64_t row = wrong[0].item<int64_t>();
    fail(Exit::data, plain_or_gz(folder, split == Split::train ? options.train_labels : options.test_labels), ": label ",
         label[row].item<int64_t>(), " of image ", row, ", allowed: 0 to ", classes - 1, ".");
  }
  contents.classes = std::move(names);
  return contents;
}

}  // namespace

Idx::Idx(const Options& options) : MemoryDataset(read_idx_folder(options)) {}

Mnist::Mnist(const Options& options)
    : MemoryDataset(
          read_mnist(find_folder({"mnist", "mnist", Idx::Options().train_images, "", "the four .gz files of MNIST in one folder"},
                                 options.path),
                     {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"})) {}

FashionMnist::FashionMnist(const Options& options)
    : MemoryDataset(
          read_mnist(find_folder({"fashion_mnist", "fashion-mnist", Idx::Options().train_images,
                                  "/usr/share/datasets/fashion-mnist", "apt-get install dataset-fashion-mnist"},
                                 options.path),
                     {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"})) {}

}  // namespace foil
