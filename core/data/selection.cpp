// SPDX-License-Identifier: BSD-3-Clause
// The long tail, the subset, and the renumbering.
#include "data/selection.h"

#include "data/memory.h"
#include "data/uniform.h"
#include "run/file.h"

#include <foil/random.h>

#include <torch/types.h>

#include <cmath>

namespace foil {
namespace {

Tensor long_tail(const Tensor& labels, double ratio) {
  const int64_t classes = labels.max().item<int64_t>() + 1;
  const double largest = static_cast<double>(labels.bincount().max().item<int64_t>());
  std::vector<int64_t> left, rows;
  for (int64_t c = 0; c < classes; ++c) {
    const double part = classes > 1 ? static_cast<double>(c) / static_cast<double>(classes - 1) : 0;
    left.push_back(static_cast<int64_t>(
        std::floor(largest / std::pow(ratio, part) * (1 + 1e-12))));  // 599.9999999999999 is 600
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
    refuse("data.imbalance", options.imbalance, "0 (as it is) or a number >= 1");
  }
  if (options.imbalance > 1) {
    if (!labels.defined() || labels.numel() == 0 || labels.min().item<int64_t>() < 0) {
      refuse("data.imbalance", options.imbalance, "0, as not every training sample has a label");
    }
    rows = long_tail(labels.contiguous(), options.imbalance);
    if (rows.numel() == 0) refuse("data.imbalance", options.imbalance, "one that leaves a training sample");
  }
  if (options.subset > rows.size(0)) {
    refuse("data.subset", options.subset,
           "0 (all) to " + std::to_string(rows.size(0)) + ", the size of the training set");
  }
  if (options.subset > 0) {
    rows = rows.index_select(0, draw_rows(rows.size(0), options.subset, mix_key(seed, name_key("subset"))));
  }
  return rows;
}

Tensor draw_rows(int64_t size, int64_t count, uint64_t key) {
  if (count >= size) return torch::arange(size, torch::kLong);
  return std::get<0>(permutation(key, size).slice(0, 0, count).sort());
}

SelectedDataset::SelectedDataset(std::shared_ptr<const Dataset> all, Tensor train_rows, Tensor test_rows,
                                 Tensor validation_rows)
    : all_(std::move(all)),
      train_rows_(std::move(train_rows)),
      test_rows_(std::move(test_rows)),
      validation_rows_(std::move(validation_rows)) {
  for (const Split split : {Split::train, Split::test, Split::validation})
    if (rows(split).defined()) check_index(rows(split), all_->size(split));
}

Tensor SelectedDataset::selected(Split split, const Tensor& of_all) const {
  return of_all.defined() && rows(split).defined() ? of_all.index_select(0, rows(split)) : of_all;
}

Tensor SelectedDataset::labels(Split split) const { return selected(split, all_->labels(split)); }
Tensor SelectedDataset::groups(Split split) const { return selected(split, all_->groups(split)); }
Tensor SelectedDataset::nodes(Split split) const { return selected(split, all_->nodes(split)); }

std::string SelectedDataset::identity() const {
  std::string identity = all_->identity();
  if (identity.empty()) return identity;
  for (const Tensor& rows : {train_rows_, test_rows_, validation_rows_}) {
    if (!rows.defined()) continue;
    const Tensor bytes = rows.contiguous();
    identity += "/" + checksum({static_cast<const char*>(bytes.const_data_ptr()), bytes.nbytes()});
  }
  return identity;
}

Views SelectedDataset::read(Split split, const Tensor& index) const {
  if (!rows(split).defined()) return all_->read(split, index);
  check_index(index, size(split));
  return all_->read(split, rows(split).index_select(0, index));
}

}  // namespace foil
