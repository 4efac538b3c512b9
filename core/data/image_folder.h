// SPDX-License-Identifier: BSD-3-Clause
// JPEG and PNG files in one folder a class: path/train/CLASS/... and path/test (or path/val)/CLASS/..., or path/CLASS/... with
// `flat`. A label is the position of the class among all class names in byte order (never the locale's); samples are in byte order
// of their paths. Images are decoded when they are read, in parallel. Where all have one size a batch is `data`, else `ragged`.
#pragma once

#include <foil/dataset.h>
#include <foil/fields.h>

namespace foil {

class ImageFolder : public Dataset {
 public:
  struct Options {
    std::string path;
    bool flat = false;
    int64_t threads = 0;
    void describe(Fields& f) {
      f.path("path", path, "folder that holds train/ and test/ or val/, each with one folder a class");
      f.flag("flat", flat, "the class folders lie in path itself; there is no test split");
      f.integer("threads", threads, "threads that decode, on each rank; 0 = one a core", at_least(0));
    }
  };
  explicit ImageFolder(const Options& options);
  int64_t size(Split split) const override { return static_cast<int64_t>(part(split).files.size()); }
  std::vector<std::string> classes() const override { return classes_; }
  Tensor labels(Split split) const override { return part(split).label; }
  Views read(Split split, const Tensor& index) const override;
  std::vector<int64_t> shape() const override { return {3, height_, width_}; }

 private:
  struct Part {
    std::vector<std::string> files;
    Tensor label;
  };
  const Part& part(Split split) const { return split == Split::train ? train_ : test_; }
  Part list(const std::string& folder) const;
  void find_common_size();

  Part train_, test_;
  std::vector<std::string> classes_;
  int64_t height_ = -1, width_ = -1;
  int64_t threads_;
};

}  // namespace foil
