// SPDX-License-Identifier: BSD-3-Clause
#include "contrast/problem.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>

namespace foil::contrast {

Masks::Masks(const Side& row, const Side& column, const Tensor& left_out) {
  if (left_out.defined() && left_out.size(1) > 0) {
    const Tensor place = std::get<0>(at::sort(left_out[0] * column.data.size(0) + left_out[1])).contiguous();
    const int64_t* const p = place.const_data_ptr<int64_t>();
    int64_t begin = 0;
    for (int64_t i = 0; i < row.data.size(0); ++i) {
      listed_from_.push_back(static_cast<int64_t>(listed_.size()));
      for (; begin < place.numel() && p[begin] < (i + 1) * column.data.size(0); ++begin)
        listed_.push_back(static_cast<int32_t>(p[begin] - i * column.data.size(0)));
    }
    listed_from_.push_back(static_cast<int64_t>(listed_.size()));
  }
  if (row.id.defined()) {
    const Tensor rows = row.id.contiguous(), columns = column.id.contiguous();
    const int64_t *const x = rows.const_data_ptr<int64_t>(), *const y = columns.const_data_ptr<int64_t>();
    order_.resize(static_cast<size_t>(columns.numel()));
    std::iota(order_.begin(), order_.end(), 0);
    std::stable_sort(order_.begin(), order_.end(), [&](int32_t a, int32_t b) { return y[a] < y[b]; });
    for (int64_t i = 0; i < rows.numel(); ++i) {
      const auto from = std::lower_bound(order_.begin(), order_.end(), x[i],
                                         [&](int32_t at, int64_t id) { return y[at] < id; });
      const auto until =
          std::upper_bound(from, order_.end(), x[i], [&](int64_t id, int32_t at) { return id < y[at]; });
      from_.push_back(static_cast<int32_t>(from - order_.begin()));
      until_.push_back(static_cast<int32_t>(until - order_.begin()));
    }
  }
  if (!row.label.defined()) return;
  std::unordered_map<int64_t, int32_t> known;
  const auto compressed = [&](const Tensor& label, int32_t none) {
    const Tensor all = label.contiguous();
    std::vector<int32_t> numbers;
    for (int64_t i = 0; i < all.numel(); ++i) {
      const int64_t value = all.const_data_ptr<int64_t>()[i];
      numbers.push_back(
          value < 0 ? none : known.try_emplace(value, static_cast<int32_t>(known.size())).first->second);
    }
    return numbers;
  };
  row_label_ = compressed(row.label, -1);
  column_label_ = compressed(column.label, -2);
}

}  // namespace foil::contrast
