// SPDX-License-Identifier: BSD-3-Clause
// Finding a common size, decoding in parallel, hashing; the tree is listed by image_tree.
#include "data/image_folder.h"

#include "data/decode.h"
#include "data/file.h"
#include "data/image_tree.h"
#include "data/memory.h"
#include "data/parallel.h"
#include "run/cores.h"
#include "run/file.h"
#include "run/text.h"

#include <torch/types.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <numeric>

namespace foil {

ImageFolder::ImageFolder(const Options& options)
    : threads_(options.threads > 0 ? options.threads : usable_cores()),
      largest_image_(options.largest_image) {
  if (options.path.empty()) refuse("path", "\"\"", "the folder of the images");
  ImageTree tree = list_images({options.path, options.flat, options.allow_empty});
  for (const std::string& name : tree.classes) classes_.push_back(printable(name));
  remarks_ = std::move(tree.remarks);
  train_folder_ = tree.train.folder;
  test_folder_ = tree.test.folder;
  train_ = {std::move(tree.train.files), torch::tensor(tree.train.label, torch::kLong)};
  if (!test_folder_.empty())
    test_ = {std::move(tree.test.files), torch::tensor(tree.test.label, torch::kLong)};
  find_common_size();
}

const std::string& ImageFolder::file(int64_t i) const {
  const int64_t train = size(Split::train);
  return i < train ? train_.files[static_cast<size_t>(i)] : test_.files[static_cast<size_t>(i - train)];
}

const ImageFolder::Scan& ImageFolder::scan() const {
  std::call_once(scanned_, [this] { scan_ = look_at_files(); });
  return scan_;
}

ImageFolder::Scan ImageFolder::look_at_files() const {
  const int64_t files = size(Split::train) + size(Split::test);
  std::vector<int64_t> bytes(static_cast<size_t>(files));
  in_parallel(files, threads_, [&](int64_t i) { bytes[static_cast<size_t>(i)] = file_size(file(i)); });
  Glance glance = glance_at(
      files, std::accumulate(bytes.begin(), bytes.end(), int64_t{0}), threads_,
      [&](int64_t i, bool whole) { return whole ? read_bytes(file(i)) : read_ends(file(i), kGlanceEnd); });

  std::string all;  // each text ends in a zero byte, which no name holds
  for (const std::string& name : classes_) all += name + '\0';
  for (int64_t i = 0; i < files; ++i) {
    const bool train = i < size(Split::train);
    all += (train ? "train" : "test") + file(i).substr((train ? train_folder_ : test_folder_).size()) + '\0';
    all += std::to_string(bytes[static_cast<size_t>(i)]) + ' ' + glance.sum(i) + '\0';
  }
  return {checksum(all), std::move(glance)};
}

std::vector<std::string> ImageFolder::remarks() const {
  std::vector<std::string> remarks = remarks_;
  for (const std::string& remark : scan().glance.remarks()) remarks.push_back(remark);
  return remarks;
}

// Reads headers until two sizes differ, which of photographs the first two do.
void ImageFolder::find_common_size() {
  const ImageSize first = ImageFile(train_.files.front(), largest_image_).size();
  std::atomic<bool> differ = false;
  std::exception_ptr error;
  try {
    in_parallel(size(Split::train) + size(Split::test), threads_, [&](int64_t i) {
      if (!differ && ImageFile(file(i), largest_image_).size() != first) differ = true;
    });
  } catch (const Error&) {
    error = std::current_exception();
  }
  if (differ)
    return;  // whether a broken file was met before depends on the threads: it is named when it is read
  if (error) std::rethrow_exception(error);
  height_ = first.height;
  width_ = first.width;
}

Views ImageFolder::read(Split split, const Tensor& index) const {
  check_index(index, size(split));
  const Tensor rows = index.contiguous();
  const int64_t count = rows.size(0);
  View view;
  if (height_ > 0) {
    require_memory(
        "a batch of " + std::to_string(count) + " images of data.path",
        3.0 * static_cast<double>(count) * static_cast<double>(height_) * static_cast<double>(width_));
    view.data = torch::empty({count, 3, height_, width_}, torch::kByte);
  } else {
    view.ragged.resize(static_cast<size_t>(count));
  }
  in_parallel(count, threads_, [&](int64_t b) {
    const std::string& path = part(split).files[static_cast<size_t>(rows.const_data_ptr<int64_t>()[b])];
    const ImageFile file(path, largest_image_);
    const ImageSize size = file.size();
    if (height_ < 0) {
      Tensor& image = view.ragged[static_cast<size_t>(b)];
      image = torch::empty({3, size.height, size.width}, torch::kByte);
      file.decode(image.mutable_data_ptr<uint8_t>());
    } else if (size == ImageSize{height_, width_}) {
      file.decode(view.data.mutable_data_ptr<uint8_t>() + b * 3 * height_ * width_);
    } else {
      fail(Exit::data, printable(path), ": ", size.height, "x", size.width, ", but it was ", height_, "x",
           width_, " when the run started.");
    }
  });
  return {std::move(view)};
}

}  // namespace foil
