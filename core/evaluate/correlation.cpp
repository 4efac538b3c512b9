// SPDX-License-Identifier: BSD-3-Clause
// Ranks with ties, and Pearson's correlation of them.
#include "evaluate/correlation.h"

#include "evaluate/checks.h"
#include "evaluate/exact_cosine.h"
#include "evaluate/measuring.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

namespace foil {

Tensor average_ranks(const Tensor& x) {
  const auto [sorted, order] = x.detach().cpu().to(torch::kDouble).sort(0);
  const double* value = sorted.const_data_ptr<double>();
  const int64_t* row = order.const_data_ptr<int64_t>();
  const int64_t count = sorted.size(0);
  Tensor rank = torch::empty({count}, torch::kDouble);
  for (int64_t begin = 0, end = 0; begin < count; begin = end) {
    while (end < count && value[end] == value[begin]) ++end;
    for (int64_t i = begin; i < end; ++i)
      rank.mutable_data_ptr<double>()[row[i]] = static_cast<double>(begin + 1 + end) / 2;
  }
  return rank;
}

double spearman(const Tensor& a, const Tensor& b) {
  if (a.dim() != 1 || a.sizes() != b.sizes() || a.size(0) < 2) {
    fail(Exit::failure, "Spearman: values of ", a.sizes(), " and ", b.sizes(),
         ", allowed: two of one size, [N] with N >= 2.");
  }
  if (!torch::isfinite(a).all().item<bool>() || !torch::isfinite(b).all().item<bool>())
    fail(Exit::non_finite, "Spearman: values hold nan or inf.");
  const Tensor of_a = average_ranks(a), of_b = average_ranks(b);
  const double *x = of_a.const_data_ptr<double>(), *y = of_b.const_data_ptr<double>();
  const double centre = static_cast<double>(a.size(0) + 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (int64_t i = 0; i < a.size(0); ++i) {
    xy += (x[i] - centre) * (y[i] - centre);
    xx += (x[i] - centre) * (x[i] - centre);
    yy += (y[i] - centre) * (y[i] - centre);
  }
  return xx == 0 || yy == 0 ? 0 : std::clamp(xy / std::sqrt(xx) / std::sqrt(yy), -1.0, 1.0);
}

Tensor paired_cosines(const Tensor& a, const Tensor& b) {
  torch::NoGradGuard no_grad;
  check_embeddings("pairs, first", a);
  check_embeddings("pairs, second", b);
  if (a.sizes() != b.sizes()) {
    fail(Exit::failure, "pairs: the rows are ", a.sizes(), " and ", b.sizes(), "; they must agree.");
  }
  constexpr int64_t kChunk = int64_t{64} << 20;
  const Tensor row = torch::arange(a.size(0), torch::kLong);
  return exact_cosines_of_pairs(grid_rows(a, kChunk), row, grid_rows(b, kChunk), row, kChunk).cpu();
}

void measure_spearman(Measuring& of, const std::string& first_name, const Tensor& first,
                      const std::string& second_name, const Tensor& second, const Tensor& score) {
  const std::string pair = first_name + ">" + second_name;
  of.add(pair + ".Spearman", {pair + " Spearman", "", 3, Better::higher, /*headline=*/true},
         spearman(paired_cosines(first, second), score),
         of.id("spearman-cosine/" + pair, of.split, first.size(0)));
}

}  // namespace foil
