// SPDX-License-Identifier: BSD-3-Clause
// Agreement from the table of how often two clusters meet.
#include "evaluate/clustering.h"

#include <foil/error.h>

#include <torch/types.h>

namespace foil {
namespace {

// How many samples have each pair of ids: [clusters of a, clusters of b], fp64.
Tensor meetings(const Tensor& a, const Tensor& b) {
  if (a.dim() != 1 || a.sizes() != b.sizes() || a.size(0) == 0) {
    fail(Exit::failure, "agreement of partitions of ", a.sizes(), " and ", b.sizes(),
         " samples; allowed: two of one size, not empty.");
  }
  const Tensor row = std::get<1>(at::_unique(a, true, true)),
               column = std::get<1>(at::_unique(b, true, true));
  const int64_t rows = row.max().item<int64_t>() + 1, columns = column.max().item<int64_t>() + 1;
  return (row * columns + column).bincount({}, rows * columns).view({rows, columns}).to(torch::kDouble);
}

double entropy(const Tensor& p) { return -torch::xlogy(p, p).sum().item<double>(); }
double pairs(const Tensor& counts) { return (counts * (counts - 1)).sum().item<double>() / 2; }

}  // namespace

double normalized_mutual_information(const Tensor& a, const Tensor& b) {
  const Tensor joint = meetings(a, b) / static_cast<double>(a.size(0));
  const double of_a = entropy(joint.sum(1)), of_b = entropy(joint.sum(0));
  return of_a + of_b == 0 ? 1 : std::max(0.0, 2 * (of_a + of_b - entropy(joint)) / (of_a + of_b));
}

double adjusted_rand_index(const Tensor& a, const Tensor& b) {
  const Tensor table = meetings(a, b);
  const double samples = static_cast<double>(a.size(0));
  const double together = pairs(table), in_a = pairs(table.sum(1)), in_b = pairs(table.sum(0));
  const double chance = samples > 1 ? in_a * in_b / (samples * (samples - 1) / 2) : 0,
               most = (in_a + in_b) / 2;
  return most == chance ? 1 : (together - chance) / (most - chance);
}

}  // namespace foil
