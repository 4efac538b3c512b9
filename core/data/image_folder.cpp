// SPDX-License-Identifier: BSD-3-Clause
// Listing the tree, finding a common size, decoding in parallel.
#include "data/image_folder.h"

#include <torch/types.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <filesystem>
#include <functional>
#include <mutex>
#include <set>
#include <thread>

#include "data/decode.h"
#include "data/memory.h"

namespace foil {
namespace fs = std::filesystem;
namespace {

// Calls work(0) .. work(count - 1) on this thread and up to threads - 1 others. After a failure no further call starts, and the
// exception of the lowest number is thrown: calls start in order, so it is always the same one.
void in_parallel(int64_t count, int64_t threads, const std::function<void(int64_t)>& work) {
  std::atomic<int64_t> next = 0;
  std::mutex mutex;
  int64_t failed = count;
  std::exception_ptr error;
  auto run = [&] {
    for (int64_t i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        next = count;
        if (i < failed) {
          failed = i;
          error = std::current_exception();
        }
      }
    }
  };
  std::vector<std::thread> others;
  for (int64_t t = 1; t < std::min(threads, count); ++t) others.emplace_back(run);
  run();
  for (std::thread& other : others) other.join();
  if (error) std::rethrow_exception(error);
}

bool is_image(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

// The names of the folders in a folder, byte-sorted, without hidden ones.
std::vector<std::string> class_folders(const fs::path& folder) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory() && name[0] != '.') names.push_back(name);
  }
  if (names.empty()) fail(Exit::data, folder.string(), ": no class folders in it.");
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

ImageFolder::ImageFolder(const Options& options)
    : threads_(options.threads > 0 ? options.threads : std::max(1u, std::thread::hardware_concurrency())) {
  if (options.path.empty()) fail(Exit::usage, "data.path is not given: the folder of the images.");
  const fs::path path(options.path);
  try {
    const fs::path train = options.flat ? path : path / "train";
    fs::path test;
    for (const char* name : {"test", "val"}) {
      if (!options.flat && test.empty() && fs::exists(path / name)) test = path / name;
    }
    if (!fs::is_directory(train)) {
      fail(Exit::data, train.string(), ": no such folder",
           options.flat ? "." : "; if the class folders lie in data.path itself, set data.flat = true.");
    }
    std::set<std::string> names;
    for (const fs::path& folder : {train, test}) {
      if (folder.empty()) continue;
      for (const std::string& name : class_folders(folder)) names.insert(name);
    }
    classes_.assign(names.begin(), names.end());
    train_ = list(train.string());
    if (!test.empty()) test_ = list(test.string());
  } catch (const fs::filesystem_error& error) {
    fail(Exit::data, error.path1().string(), ": cannot be read: ", error.code().message(), ".");
  }
  find_common_size();
}

ImageFolder::Part ImageFolder::list(const std::string& folder) const {
  Part part;
  std::vector<int64_t> labels;
  for (const std::string& name : class_folders(folder)) {
    std::vector<std::string> files;
    for (const fs::directory_entry& entry :
         fs::recursive_directory_iterator(fs::path(folder) / name, fs::directory_options::follow_directory_symlink)) {
      if (is_image(entry.path()) && entry.is_regular_file()) files.push_back(entry.path().string());
    }
    if (files.empty()) fail(Exit::data, (fs::path(folder) / name).string(), ": no .jpg, .jpeg or .png file in it.");
    std::sort(files.begin(), files.end());
    const auto label = std::lower_bound(classes_.begin(), classes_.end(), name) - classes_.begin();
    labels.insert(labels.end(), files.size(), label);
    part.files.insert(part.files.end(), files.begin(), files.end());
  }
  part.label = torch::tensor(labels, torch::kLong);
  return part;
}

// Reads headers until two sizes differ, which of photographs the first two do.
void ImageFolder::find_common_size() {
  const ImageSize first = ImageFile(train_.files.front()).size();
  std::atomic<bool> differ = false;
  std::exception_ptr error;
  const int64_t train = size(Split::train);
  try {
    in_parallel(train + size(Split::test), threads_, [&](int64_t i) {
      if (differ) return;
      const std::string& file = i < train ? train_.files[static_cast<size_t>(i)] : test_.files[static_cast<size_t>(i - train)];
      if (ImageFile(file).size() != first) differ = true;
    });
  } catch (const Error&) {
    error = std::current_exception();
  }
  if (differ) return;  // whether a broken file was met before depends on the threads: it is named when it is read
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
    view.data = torch::empty({count, 3, height_, width_}, torch::kByte);
  } else {
    view.ragged.resize(static_cast<size_t>(count));
  }
  in_parallel(count, threads_, [&](int64_t b) {
    const std::string& path = part(split).files[static_cast<size_t>(rows.const_data_ptr<int64_t>()[b])];
    const ImageFile file(path);
    const ImageSize size = file.size();
    if (height_ < 0) {
      Tensor& image = view.ragged[static_cast<size_t>(b)];
      image = torch::empty({3, size.height, size.width}, torch::kByte);
      file.decode(image.mutable_data_ptr<uint8_t>());
    } else if (size == ImageSize{height_, width_}) {
      file.decode(view.data.mutable_data_ptr<uint8_t>() + b * 3 * height_ * width_);
    } else {
      fail(Exit::data, path, ": ", size.height, "x", size.width, ", but it was ", height_, "x", width_, " when the run started.");
    }
  });
  return {std::move(view)};
}

}  // namespace foil
