// SPDX-License-Identifier: BSD-3-Clause
// JPEG and PNG files in one folder a class: path/train/CLASS/... and path/test (or val, valid,
// validation)/CLASS/..., or path/CLASS/... with `flat`. A label is the position of the class among all class
// names in byte order (never the locale's); samples are in byte order of their paths. Images are decoded when
// they are read, in parallel. Where all have one size a batch is `data`, else `ragged`. What the tree holds
// besides is counted in remarks().
#pragma once

#include "data/glance.h"
#include "data/remarks.h"

#include <foil/dataset.h>
#include <foil/fields.h>

#include <mutex>

namespace foil {

class ImageFolder : public Dataset, public Remarks {
 public:
  struct Options {
    std::string path;
    bool flat = false;
    int64_t threads = 0;
    bool allow_empty = false;
    int64_t largest_image = 100'000'000;
    void describe(Fields& f) {
      f.path("path", path,
             "folder that holds train/ and test/, val/, valid/ or validation/, each with one folder a class");
      f.flag("flat", flat, "the class folders lie in path itself; there is no test split");
      f.integer("threads", threads, "threads that decode, on each rank; 0 = one a core", between(0, 1024));
      f.flag("allow_empty", allow_empty, "a class folder may hold no image");
      f.integer("largest_image", largest_image,
                "pixels of the largest image that is decoded; a larger one is refused", between(1, 1 << 30));
    }
  };
  explicit ImageFolder(const Options& options);
  int64_t size(Split split) const override { return static_cast<int64_t>(part(split).files.size()); }
  std::vector<std::string> classes() const override { return classes_; }
  Tensor labels(Split split) const override { return part(split).label; }
  Views read(Split split, const Tensor& index) const override;
  std::vector<Modality> modalities() const override {
    return {{"image", {Kind::image, {3, height_, width_}, 0}}};
  }
  // Of the names and sizes of all files; of every byte where that is at most 256 MiB, else of the first and
  // last 4 KiB of at most 16,384 files, evenly spaced. Takes that much reading, once.
  std::string identity() const override { return scan().identity; }
  std::vector<std::string> remarks() const override;

 private:
  struct Part {
    std::vector<std::string> files;
    Tensor label;
  };
  // What is seen of the files without decoding them.
  struct Scan {
    std::string identity;
    Glance glance;
  };
  const Part& part(Split split) const {
    static const Part none;
    return split == Split::train ? train_ : split == Split::test ? test_ : none;
  }
  const std::string& file(int64_t i) const;  // of both splits, the training files first
  void find_common_size();
  const Scan& scan() const;  // made when first asked for
  Scan look_at_files() const;

  Part train_, test_;
  std::vector<std::string> classes_, remarks_;
  std::string train_folder_, test_folder_;
  int64_t height_ = -1, width_ = -1;
  int64_t threads_;
  int64_t largest_image_;
  mutable std::once_flag scanned_;
  mutable Scan scan_;
};

}  // namespace foil
