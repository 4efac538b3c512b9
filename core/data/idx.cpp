// SPDX-License-Identifier: BSD-3-Clause
// Data sets made of IDX files, and the two of them that are known by name.
#include "data/idx.h"

#include "data/file.h"
#include "data/idx_file.h"

#include <torch/types.h>

#include <optional>

namespace foil {
namespace {

// Images whose last size is one of channels and whose first is none: [H, W, 3]. A square [C, W, W] is not
// doubted.
void refuse_channels_last(const std::string& path, const std::vector<int64_t>& sizes) {
  const auto is_channels = [](int64_t size) { return size == 1 || size == 3 || size == 4; };
  if (sizes.size() != 4 || sizes[1] <= 4 || !is_channels(sizes[3]) || sizes[2] == sizes[3]) return;
  fail(Exit::data, path, ": images of size ", at::IntArrayRef(sizes).slice(1), " would be ", sizes[1],
       " channels of ", sizes[2], "x", sizes[3],
       ": idx4 is [N, C, H, W]. Write them with the channels before height and width.");
}

Table read_table(const std::string& images, const std::string& labels) {
  IdxFile image_file(images, 3, 4, "images");
  refuse_channels_last(images, image_file.sizes());
  std::optional<IdxFile> label_file;
  if (!labels.empty()) {
    label_file.emplace(labels, 1, 1, "labels");
    if (label_file->sizes()[0] != image_file.sizes()[0]) {
      fail(Exit::data, labels, ": ", label_file->sizes()[0], " labels, but ", images, " holds ",
           image_file.sizes()[0], " images.");
    }
  }
  Tensor data = image_file.read();
  if (data.dim() == 3) data = data.unsqueeze(1);
  return table_of(data, label_file ? label_file->read().to(torch::kLong) : Tensor());
}

Contents read_idx_folder(const Idx::Options& options) {
  if (options.path.empty()) refuse("path", "\"\"", "the folder of the IDX files");
  if (options.train_images.empty()) refuse("train_images", "\"\"", "the file of the training images");
  if (!options.test_images.empty() && options.train_labels.empty() != options.test_labels.empty()) {
    refuse("train_labels", "\"" + options.train_labels + "\"",
           std::string("a file, or none, just as test_labels is ") +
               (options.test_labels.empty() ? "none" : "a file"));
  }
  auto file = [&](const std::string& name) { return name.empty() ? name : plain_or_gz(options.path, name); };
  Contents contents;
  contents.train = read_table(file(options.train_images), file(options.train_labels));
  if (!options.test_images.empty())
    contents.test = read_table(file(options.test_images), file(options.test_labels));
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
    fail(Exit::data, plain_or_gz(folder, split == Split::train ? options.train_labels : options.test_labels),
         ": label ", label[row].item<int64_t>(), " of image ", row, ", allowed: 0 to ", classes - 1, ".");
  }
  contents.classes = std::move(names);
  return contents;
}

}  // namespace

Idx::Idx(const Options& options) : MemoryDataset(read_idx_folder(options)) {}

Mnist::Mnist(const Options& options)
    : MemoryDataset(read_mnist(find_folder({"mnist", "mnist", Idx::Options().train_images, "",
                                            "the four .gz files of MNIST in one folder"},
                                           options.path),
                               {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"})) {}

FashionMnist::FashionMnist(const Options& options)
    : MemoryDataset(read_mnist(
          find_folder({"fashion_mnist", "fashion-mnist", Idx::Options().train_images,
                       "/usr/share/datasets/fashion-mnist", "apt-get install dataset-fashion-mnist"},
                      options.path),
          {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
           "Ankle boot"})) {}

}  // namespace foil
