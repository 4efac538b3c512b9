// SPDX-License-Identifier: BSD-3-Clause
// Agreement from the table of how often two clusters meet.
#include "evaluate/clustering.h"

#include "evaluate/measuring.h"

#include <foil/cluster.h>
#include <foil/error.h>

#include <fmt/format.h>
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

void measure_clustering(Measuring& of) {
  const KMeansOptions options;
  const int64_t count = of.queries.rows.size(0);
  const Tensor cluster =
      k_means(of.queries.rows, std::min(of.classes, count), options, of.ranks).cluster.cpu();
  const std::string how = fmt::format("kmeans-cosine-k{}-restarts{}-iterations{}-seed{}", of.classes,
                                      options.restarts, options.max_iterations, options.seed);
  of.add("nmi", {"NMI", "", 3, Better::higher}, normalized_mutual_information(cluster, of.queries.label),
         of.id("nmi-" + how, of.split, count));
  of.add("ari", {"ARI", "", 3, Better::higher}, adjusted_rand_index(cluster, of.queries.label),
         of.id("ari-" + how, of.split, count));
}

}  // namespace foil
