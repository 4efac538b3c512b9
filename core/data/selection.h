// SPDX-License-Identifier: BSD-3-Clause
// Which rows of the training split an experiment trains on: a long tail, a random subset. The test split is never touched.
#pragma once

#include <foil/dataset.h>
#include <foil/fields.h>

#include <memory>

namespace foil {

// What [data] holds besides the options of the data set.
struct SelectionOptions {
  int64_t batch_size = 256;
  int64_t subset = 0;
  double imbalance = 0;
  void describe(Fields& f) {
    f.integer("batch_size", batch_size, "samples of a step over all ranks", at_least(1));
    f.integer("subset", subset, "train on so many rows, drawn by run.seed; 0 = all", at_least(0));
    f.number("imbalance", imbalance, "long tail: how many times the first class is larger than the last; 0 = as it is",
             at_least(0));
  }
};

// The selected rows, ascending: int64 on the CPU. `labels`: int64 [size], or undefined. The long tail comes first, then the subset.
// Long tail (Cao et al., 2019, exponential): class c of C keeps its first floor(n * imbalance^(-c / (C - 1))) rows in file order,
// n being the size of the largest class.
Tensor select_training(const Tensor& labels, int64_t size, const SelectionOptions& options, uint64_t seed);

// A data set whose training split is these rows of another's: index i means row `rows[i]`.
class SelectedDataset : public Dataset {
 public:
  SelectedDataset(std::shared_ptr<const Dataset> all, Tensor rows);
  int64_t size(Split split) const override { return split == Split::train ? rows_.size(0) : all_->size(split); }
  std::vector<std::string> classes() const override { return all_->classes(); }
  Tensor labels(Split split) const override;
  Views read(Split split, const Tensor& index) const override;
  std::vector<int64_t> shape() const override { return all_->shape(); }
  bool in_memory() const override { return all_->in_memory(); }

 private:
  std::shared_ptr<const Dataset> all_;
  Tensor rows_;
};

}  // namespace foil
