// SPDX-License-Identifier: BSD-3-Clause
// Pairs of texts, or rows of more or fewer of them: JSON Lines (an object a line) or tab-separated values
// (tsv.h), plain or gzip, a file a split. Each column that is named becomes a modality of texts.
//
//   [data]
//   name = "pairs"
//   path = "debian-descriptions"      # train.jsonl.gz, validation.jsonl.gz, test.jsonl.gz
//   columns = ["query", "document"]
#pragma once

#include "data/memory.h"
#include "data/remarks.h"

#include <foil/fields.h>

namespace foil {

// Held in memory as [N, L], L = bytes of the longest text of a column over all splits.
class Pairs : public MemoryDataset, public Remarks {
 public:
  struct Options {
    std::string path;
    std::string train, validation, test;
    std::vector<std::string> columns = {"query", "document"};
    int64_t max_bytes = 4096;
    std::string group;
    void describe(Fields& f) {
      f.path("path", path,
             "folder of train, validation and test, each .jsonl or .tsv, also with .gz; train must be there");
      f.path("train", train, "file of the training rows, instead of that in path");
      f.path("validation", validation, "file of the validation rows, instead of that in path");
      f.path("test", test, "file of the test rows, instead of that in path");
      f.texts("columns", columns, "the columns that become modalities, in this order");
      f.integer("max_bytes", max_bytes, "a longer text is cut behind a character", between(4, 1 << 20));
      f.text("group", group,
             "column by which rows are relevant to each other where it is equal and not empty; empty = each "
             "row only to itself");
    }
  };
  explicit Pairs(const Options& options);
  std::vector<std::string> remarks() const override { return remarks_; }

 private:
  struct Read {
    Contents contents;
    std::vector<std::string> remarks;
  };
  static Read read_pairs(const Options& options);
  explicit Pairs(Read read) : MemoryDataset(std::move(read.contents)), remarks_(std::move(read.remarks)) {}

  std::vector<std::string> remarks_;  // how many texts were cut
};

}  // namespace foil
