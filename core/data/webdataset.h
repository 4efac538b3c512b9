// SPDX-License-Identifier: BSD-3-Clause
// WebDataset: pictures, texts and labels in tar shards, as img2dataset and open_clip write them (shards.h).
// Unlike the Python readers, which stream shards and shuffle what they hold, this one knows where each member
// lies and reads it there: a sample is one read a column, batches are the sampler's on any number of ranks,
// and shards need not be divided over them.
//
//   [data]
//   name = "webdataset"
//   train = "laion/{00000..00331}.tar"     # or path = "laion", with train/, validation/ and test/ in it
//   columns = ["image", "text"]            # or "text=json.caption"
//
//   [views]
//   of = ["image", "text"]
//
// In memory are 16 bytes a sample and column, twice that while the shards are read, and 8 more for a label
// and a group.
#pragma once

#include "data/glance.h"
#include "data/remarks.h"
#include "data/shards.h"

#include <foil/dataset.h>
#include <foil/fields.h>

#include <mutex>

namespace foil {

class WebDataset : public Dataset, public Remarks {
 public:
  struct Options {
    std::string path;
    std::string train, validation, test;
    std::vector<std::string> columns = {"image", "text"};
    int64_t max_bytes = 4096;
    std::string label, class_names, group;
    int64_t threads = 0;
    int64_t largest_image = 100'000'000;
    void describe(Fields& f) {
      f.path("path", path,
             "folder of train/, validation/ and test/, each of .tar shards; train must be there");
      f.path("train", train,
             "the shards of the training split instead: a folder, or names with braces, {00000..00331}.tar");
      f.path("validation", validation, "the shards of the validation split instead of those in path");
      f.path("test", test, "the shards of the test split instead of those in path");
      f.texts("columns", columns,
              "the modalities, in this order: image (.jpg, .jpeg or .png), text (.txt), or NAME=MEMBER, as "
              "mask=mask.png, title=title.txt or text=json.caption");
      f.integer("max_bytes", max_bytes, "a longer text is cut behind a character", between(4, 1 << 20));
      f.text("label", label,
             "member with the number of the class, -1 for none: cls, or a field as json.label; empty = no "
             "labels");
      f.path("class_names", class_names,
             "file with the name of a class a line, in the order of their numbers; empty = the numbers");
      f.text("group", group,
             "member by which samples are relevant to each other where it is equal and not empty, as "
             "json.url; empty = each only to itself");
      f.integer("threads", threads, "threads that read and decode, on each rank; 0 = one a core",
                between(0, 1024));
      f.integer("largest_image", largest_image,
                "pixels of the largest image that is decoded; a larger one is refused", between(1, 1 << 30));
    }
  };
  explicit WebDataset(const Options& options);
  int64_t size(Split split) const override { return part(split).index.samples(); }
  std::vector<std::string> classes() const override { return classes_; }
  Tensor labels(Split split) const override { return part(split).label; }
  Tensor groups(Split split) const override { return part(split).group; }
  std::vector<Modality> modalities() const override { return modalities_; }
  Views read(Split split, const Tensor& index) const override;
  // Of the names and sizes of the members, of labels and groups, and of what the columns hold as glance.h
  // says.
  std::string identity() const override { return scan().identity; }
  std::vector<std::string> remarks() const override;

 private:
  struct Part {
    ShardIndex index;
    Tensor label, group;
  };
  struct Scan {
    std::string identity;
    std::vector<std::string> remarks;
  };
  const Part& part(Split split) const {
    return split == Split::train ? train_ : split == Split::test ? test_ : validation_;
  }
  void find_modalities();
  void find_classes(const Options& options);
  void number_groups();
  void tell();
  void read_sample(const Part& part, int64_t sample, int64_t b, Views& views) const;
  Glance glance(size_t column) const;
  const Scan& scan() const;  // made when first asked for

  ShardOptions options_;
  Part train_, validation_, test_;
  std::vector<Modality> modalities_;
  std::vector<std::string> classes_, remarks_;
  mutable std::once_flag scanned_;
  mutable Scan scan_;
};

}  // namespace foil
