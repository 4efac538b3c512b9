// SPDX-License-Identifier: BSD-3-Clause
// Which rows of the training split an experiment trains on: a long tail, a random subset. The test split is
// never touched.
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
    f.integer("batch_size", batch_size, "samples of a step over all ranks; 0 = all, in their order",
              at_least(0));
    f.integer("subset", subset, "train on so many rows, drawn by run.seed; 0 = all", at_least(0));
    f.number("imbalance", imbalance,
             "long tail: how many times the first class is larger than the last; 0 = as it is", at_least(0));
  }
};

// The selected rows, ascending: int64 on the CPU. `labels`: int64 [size], or undefined. The long tail comes
// first, then the subset. Long tail (Cao et al., 2019, exponential): class c of C keeps its first floor(n *
// imbalance^(-c / (C - 1))) rows in file order, n being the size of the largest class.
Tensor select_training(const Tensor& labels, int64_t size, const SelectionOptions& options, uint64_t seed);

// `count` of `size` rows, all when there are no more, ascending: a pure function of its arguments.
Tensor draw_rows(int64_t size, int64_t count, uint64_t key);

// A data set whose splits are these rows of another's: index i means row `rows[i]`. Undefined rows are
// all of them.
class SelectedDataset : public Dataset {
 public:
  SelectedDataset(std::shared_ptr<const Dataset> all, Tensor train_rows, Tensor test_rows = {},
                  Tensor validation_rows = {});
  int64_t size(Split split) const override {
    return rows(split).defined() ? rows(split).size(0) : all_->size(split);
  }
  std::vector<std::string> classes() const override { return all_->classes(); }
  Tensor labels(Split split) const override;
  Views read(Split split, const Tensor& index) const override;
  std::vector<Modality> modalities() const override { return all_->modalities(); }
  Tensor groups(Split split) const override;
  Tensor nodes(Split split) const override;
  Tensor node_labels() const override { return all_->node_labels(); }
  std::string identity() const override;  // of the other and of the rows; empty when that of the other is
  bool in_memory() const override { return all_->in_memory(); }

 private:
  const Tensor& rows(Split split) const {
    return split == Split::train ? train_rows_ : split == Split::test ? test_rows_ : validation_rows_;
  }
  Tensor selected(Split split, const Tensor& of_all) const;  // those of the rows, of an entry per sample
  std::shared_ptr<const Dataset> all_;
  Tensor train_rows_, test_rows_, validation_rows_;  // undefined: all
};

}  // namespace foil
