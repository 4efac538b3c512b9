// SPDX-License-Identifier: BSD-3-Clause
// Reading STL-10; its layout is in stl10.h.
#include "data/stl10.h"

#include "data/file.h"
#include "run/file.h"

#include <torch/types.h>

#include <filesystem>

namespace foil {
namespace {

constexpr int64_t kSide = 96;
constexpr int64_t kPixels = 3 * kSide * kSide;
constexpr int64_t kBlock = 256;  // images turned at a time, so that the 100,000 unlabelled ones are held once

int64_t images_in(const std::string& path) {
  const int64_t size = file_size(path);
  if (size == 0 || size % kPixels != 0) {
    fail(Exit::data, path, ": ", size, " bytes, expected a multiple of ", kPixels, " (3 x 96 x 96).");
  }
  require_memory(path, static_cast<double>(size));
  return size / kPixels;
}

// Fills `images` (uint8 [n, 3, 96, 96]) from a file of n images.
void read_images(const std::string& path, Tensor images) {
  ByteReader file(path);
  for (int64_t begin = 0; begin < images.size(0); begin += kBlock) {
    Tensor rows = images.slice(0, begin, begin + kBlock);
    const Tensor block = torch::empty({rows.size(0), 3, kSide, kSide}, torch::kByte);  // [n, C, W, H]
    if (file.read(block.mutable_data_ptr(), block.numel()) < block.numel())
      fail(Exit::data, path, ": ends before its last image.");
    rows.copy_(block.transpose(2, 3));
  }
}

Tensor read_labels(const std::string& path, int64_t images) {
  const int64_t size = file_size(path);
  if (size != images) fail(Exit::data, path, ": ", size, " labels, but there are ", images, " images.");
  Tensor label = torch::empty({size}, torch::kByte);
  if (ByteReader(path).read(label.mutable_data_ptr(), size) < size)
    fail(Exit::data, path, ": ends before its last label.");
  const Tensor wrong = (label - 1).ge(10).nonzero();  // bytes: 0 becomes 255
  if (wrong.numel() > 0) {
    const int64_t row = wrong[0].item<int64_t>();
    fail(Exit::data, path, ": label ", label[row].item<int64_t>(), " of image ", row, ", allowed: 1 to 10.");
  }
  return label.to(torch::kLong) - 1;
}

Contents read_stl10(const Stl10::Options& options) {
  const std::string folder = find_folder(
      {"stl10", "stl10_binary", "train_X.bin", "", "unpack stl10_binary.tar.gz of the STL-10 page"},
      options.path);
  auto file = [&](const char* name) { return (std::filesystem::path(folder) / name).string(); };
  const int64_t labelled = images_in(file("train_X.bin"));
  const int64_t unlabelled = options.unlabelled ? images_in(file("unlabeled_X.bin")) : 0;
  const int64_t test = images_in(file("test_X.bin"));

  Contents contents;
  contents.train = table_of(torch::empty({labelled + unlabelled, 3, kSide, kSide}, torch::kByte), {});
  const Tensor images = contents.train.columns[0].data;
  contents.train.label = torch::full({labelled + unlabelled}, -1, torch::kLong);
  contents.train.label.slice(0, 0, labelled).copy_(read_labels(file("train_y.bin"), labelled));
  read_images(file("train_X.bin"), images.slice(0, 0, labelled));
  if (unlabelled > 0) read_images(file("unlabeled_X.bin"), images.slice(0, labelled));
  contents.test =
      table_of(torch::empty({test, 3, kSide, kSide}, torch::kByte), read_labels(file("test_y.bin"), test));
  read_images(file("test_X.bin"), contents.test.columns[0].data);
  contents.classes = class_names(folder, "class_names.txt", 10);
  return contents;
}

}  // namespace

Stl10::Stl10(const Options& options) : MemoryDataset(read_stl10(options)) {}

}  // namespace foil
