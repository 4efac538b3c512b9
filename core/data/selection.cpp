// SPDX-License-Identifier: BSD-3-Clause
// The long tail, the subset, and the renumbering.
#include "data/selection.h"

#include <foil/random.h>
#include <torch/types.h>

#include <cmath>

#include "data/memory.h"
#include "data/uniform.h"

namespace foil {
namespace {

Tensor long_tail(const Tensor& labels, double ratio) {
  const int64_t classes = labels.max().item<int64_t>() + 1;
  const double largest = static_cast<double>(labels.bincount().max().item<int64_t>());
  std::vector<int64_t> left, rows;
  for (int64_t c = 0; c < classes; ++c) {
    const double part = classes > 1 ? static_cast<double>(c) / static_cast<double>(classes - 1) : 0;
    left.push_back(static_cast<int64_t>(std::floor(largest / std::pow(ratio, part) * (1 + 1e-12))));  // 599.9999999999999 is 600
  }
  const int64_t* label = labels.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < labels.size(0); ++i) {
    if (left[static_cast<size_t>(label[i])]-- > 0) rows.push_back(i);
  }
  return torch::tensor(rows, torch::kLong);
}

}  // namespace

Tensor select_training(const Tensor& labels, int64_t size, const SelectionOptions& options, uint64_t seed) {
  Tensor rows = torch::arange(size, torch::kLong);
  if (options.imbalance > 0 && options.imbalance < 1) {
    fail(Exit::usage, "data.imbalance = ", options.imbalance, ", allowed: 0 (as it is) or a number >= 1.");
  }
  if (options.imbalance > 1) {
    if (!labels.defined() || labels.numel() == 0 || labels.min().item<int64_t>() < 0) {
      fail(Exit::usage, "data.imbalance = ", options.imbalance, " needs a label for every training sample.");
    }
    rows = long_tail(labels.contiguous(), options.imbalance);
  }
  if (options.subset > rows.size(0)) {
    fail(Exit::usage, "data.subset = ", options.subset, ", allowed: 0 (all) to ", rows.size(0), ", the size of the training set.");
  }
  if (options.subset > 0) {
    const Tensor drawn = permutation(mix_key(seed, name_key("subset")), rows.size(0)).slice(0, 0, options.subset);
    rows = rows.index_select(0, std::get<0>(drawn.sort()));
  }
  return rows;
}

SelectedDataset::SelectedDataset(std::shared_ptr<const Dataset> all, Tensor rows) : all_(std::move(all)), rows_(std::move(rows)) {
  check_index(rows_, all_->size(Split::train));
}

Tensor SelectedDataset::labels(Split split) const {
  const Tensor labels = all_->labels(split);
  return split == Split::train && labels.defined() ? labels.index_select(0, rows_) : labels;
}

Views SelectedDataset::read(Split split, const Tensor& index) const {
  if (split != Split::train) return all_->read(split, index);
  check_index(index, rows_.size(0));
  return all_->read(split, rows_.index_select(0, index));
}

}  // namespace foil
