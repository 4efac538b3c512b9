// SPDX-License-Identifier: BSD-3-Clause
// The assignment of rows to columns of the smallest cost, by shortest augmenting paths.
#include "evaluate/matching.h"

#include <torch/types.h>

#include <algorithm>
#include <limits>

namespace foil {
namespace {

// Rows enter one by one. Prices keep every reduced cost, cost - row price - column price, at 0 or more and at
// 0 on the matching; a row that enters pushes others along the path of least reduced cost to a free column.
class Matcher {
 public:
  explicit Matcher(const Tensor& gain)
      : size_(std::max(gain.size(0), gain.size(1))),
        cost_(static_cast<size_t>(size_ * size_)),
        row_price_(static_cast<size_t>(size_)),
        column_price_(static_cast<size_t>(size_)),
        row_of_(static_cast<size_t>(size_), -1) {
    const Tensor entries = gain.contiguous();
    const double* from = entries.const_data_ptr<double>();
    for (int64_t r = 0; r < gain.size(0); ++r)
      for (int64_t c = 0; c < gain.size(1); ++c)
        cost_[static_cast<size_t>(r * size_ + c)] = -from[r * gain.size(1) + c];
    for (int64_t r = 0; r < size_; ++r) enter(r);
  }

  // By column.
  const std::vector<int64_t>& rows() const { return row_of_; }

 private:
  void enter(int64_t entering) {
    std::vector<double> least(static_cast<size_t>(size_), std::numeric_limits<double>::infinity());
    std::vector<int64_t> before(static_cast<size_t>(size_), -1);  // the column before, on the path to each
    std::vector<bool> reached(static_cast<size_t>(size_));
    int64_t row = entering, column = -1;
    double distance = 0;
    while (row >= 0) {
      int64_t next = -1;
      for (int64_t c = 0; c < size_; ++c) {
        const auto at = static_cast<size_t>(c);
        if (reached[at]) continue;
        const double far = distance + cost_[static_cast<size_t>(row * size_ + c)] -
                           row_price_[static_cast<size_t>(row)] - column_price_[at];
        if (far < least[at]) {
          least[at] = far;
          before[at] = column;
        }
        if (next < 0 || least[at] < least[static_cast<size_t>(next)]) next = c;
      }
      column = next;
      distance = least[static_cast<size_t>(column)];
      reached[static_cast<size_t>(column)] = true;
      row = row_of_[static_cast<size_t>(column)];
    }
    row_price_[static_cast<size_t>(entering)] += distance;
    for (size_t c = 0; c < reached.size(); ++c) {
      if (!reached[c] || row_of_[c] < 0) continue;
      row_price_[static_cast<size_t>(row_of_[c])] += distance - least[c];
      column_price_[c] -= distance - least[c];
    }
    for (; column >= 0; column = before[static_cast<size_t>(column)]) {
      const int64_t from = before[static_cast<size_t>(column)];
      row_of_[static_cast<size_t>(column)] = from < 0 ? entering : row_of_[static_cast<size_t>(from)];
    }
  }

  int64_t size_;
  std::vector<double> cost_, row_price_, column_price_;
  std::vector<int64_t> row_of_;
};

}  // namespace

Tensor best_matching(const Tensor& gain) {
  const Matcher matcher(gain);
  Tensor column_of = torch::full({gain.size(0)}, -1, torch::kLong);
  for (int64_t c = 0; c < gain.size(1); ++c)
    if (const int64_t row = matcher.rows()[static_cast<size_t>(c)]; row < gain.size(0))
      column_of.mutable_data_ptr<int64_t>()[row] = c;
  return column_of;
}

}  // namespace foil
