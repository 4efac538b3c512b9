// SPDX-License-Identifier: BSD-3-Clause
// The best matching against all matchings.
#include "evaluate/matching.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <numeric>

namespace foil {
namespace {

double sum_of(const Tensor& gain, const Tensor& column_of) {
  double sum = 0;
  for (int64_t r = 0; r < gain.size(0); ++r)
    if (const int64_t c = column_of[r].item<int64_t>(); c >= 0) sum += gain[r][c].item<double>();
  return sum;
}

// The largest sum over all ways to give every row or column of the shorter side a partner.
double largest(Tensor gain) {
  if (gain.size(0) > gain.size(1)) gain = gain.t();
  std::vector<int64_t> order(static_cast<size_t>(gain.size(1)));
  std::iota(order.begin(), order.end(), 0);
  double best = -INFINITY;
  do {
    double sum = 0;
    for (int64_t r = 0; r < gain.size(0); ++r) sum += gain[r][order[static_cast<size_t>(r)]].item<double>();
    best = std::max(best, sum);
  } while (std::next_permutation(order.begin(), order.end()));
  return best;
}

TEST(BestMatching, HasTheLargestSumOfAllMatchings) {
  torch::manual_seed(0);
  for (const auto& [rows, columns] : {std::pair(1, 1), {5, 5}, {4, 6}, {6, 3}, {5, 1}}) {
    for (const bool whole : {false, true}) {  // whole numbers: ties
      Tensor gain = 4 * torch::rand({rows, columns}, torch::kDouble);
      if (whole) gain = gain.floor();
      const Tensor column_of = best_matching(gain);
      EXPECT_EQ((column_of >= 0).sum().item<int64_t>(), std::min(rows, columns));
      const Tensor taken = column_of.masked_select(column_of >= 0);
      EXPECT_EQ(std::get<0>(at::_unique(taken)).size(0), taken.size(0)) << "a column twice";
      EXPECT_NEAR(sum_of(gain, column_of), largest(gain), 1e-12) << rows << "x" << columns;
    }
  }
}

}  // namespace
}  // namespace foil
