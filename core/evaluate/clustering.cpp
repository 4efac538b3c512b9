// SPDX-License-Identifier: BSD-3-Clause
// Lloyd's iteration on unit rows; agreement from the table of how often two clusters meet.
#include "evaluate/clustering.h"

#include "evaluate/checks.h"

#include <foil/error.h>
#include <foil/random.h>
#include <torch/types.h>

namespace foil {
namespace {

// Squared distances of rows x [N, F] to centres [K, F]: [N, K].
Tensor squared_distances(const Tensor& x, const Tensor& centres) {
  const Tensor lengths = x.square().sum(1, true) + centres.square().sum(1);
  return torch::addmm(lengths, x, centres.t(), 1, -2).clamp_min(0);
}

// k-means++: each further centre is a row drawn with probability proportional to its squared distance to the nearest centre.
Tensor first_centres(const Tensor& x, int64_t clusters, Draws draws) {
  const auto drawn = [&](const Tensor& weight) {
    const Tensor sums = weight.cumsum(0);
    const Tensor at = torch::searchsorted(sums, sums[-1] * static_cast<double>(draws.uniform()), false, /*right=*/true);
    return x[at.clamp_max(x.size(0) - 1).item<int64_t>()];
  };
  std::vector<Tensor> centres{drawn(torch::ones({x.size(0)}, x.options()))};
  Tensor nearest = squared_distances(x, centres[0].unsqueeze(0)).squeeze(1);  // [N]
  while (static_cast<int64_t>(centres.size()) < clusters) {
    centres.push_back(drawn(nearest));
    nearest = torch::minimum(nearest, squared_distances(x, centres.back().unsqueeze(0)).squeeze(1));
  }
  return torch::stack(centres);
}

Partition lloyd(const Tensor& x, Tensor centres, int64_t max_iterations) {
  Tensor cluster;
  for (int64_t i = 0;; ++i) {
    const auto [distance, nearest] = squared_distances(x, centres).min(1);
    const bool settled = i > 0 && nearest.equal(cluster);
    cluster = nearest;
    if (settled || i == max_iterations) return {cluster.cpu(), distance.sum().item<double>()};
    const Tensor member = torch::one_hot(cluster, centres.size(0)).to(x.dtype());  // [N, K]
    const Tensor rows = member.sum(0).unsqueeze(1);                                // [K, 1]
    centres = torch::where(rows > 0, member.t().mm(x) / rows.clamp_min(1), centres);
  }
}

// How many samples have each pair of ids: [clusters of a, clusters of b], fp64.
Tensor meetings(const Tensor& a, const Tensor& b) {
  if (a.dim() != 1 || a.sizes() != b.sizes() || a.size(0) == 0) {
    fail(Exit::failure, "agreement of partitions of ", a.sizes(), " and ", b.sizes(),
         " samples; allowed: two of one size, not empty.");
  }
  const Tensor row = std::get<1>(at::_unique(a, true, true)), column = std::get<1>(at::_unique(b, true, true));
  const int64_t rows = row.max().item<int64_t>() + 1, columns = column.max().item<int64_t>() + 1;
  return (row * columns + column).bincount({}, rows * columns).view({rows, columns}).to(torch::kDouble);
}

double entropy(const Tensor& p) { return -torch::xlogy(p, p).sum().item<double>(); }
double pairs(const Tensor& counts) { return (counts * (counts - 1)).sum().item<double>() / 2; }

}  // namespace

Partition k_means(const Tensor& x, int64_t clusters, const KMeansOptions& options) {
  torch::NoGradGuard no_grad;
  check_embeddings("k-means", x);
  if (clusters < 1 || clusters > x.size(0)) {
    fail(Exit::failure, "k-means: ", clusters, " clusters of ", x.size(0), " rows, allowed: 1 to the number of rows.");
  }
  const Tensor rows = unit_rows(x);
  Partition best;
  for (int64_t r = 0; r < options.restarts; ++r) {
    const Draws draws(mix_key(name_key("k-means"), options.seed), static_cast<uint64_t>(r));
    Partition found = lloyd(rows, first_centres(rows, clusters, draws), options.max_iterations);
    if (r == 0 || found.inertia < best.inertia) best = std::move(found);
  }
  return best;
}

double normalized_mutual_information(const Tensor& a, const Tensor& b) {
  const Tensor joint = meetings(a, b) / static_cast<double>(a.size(0));
  const double of_a = entropy(joint.sum(1)), of_b = entropy(joint.sum(0));
  return of_a + of_b == 0 ? 1 : std::max(0.0, 2 * (of_a + of_b - entropy(joint)) / (of_a + of_b));
}

double adjusted_rand_index(const Tensor& a, const Tensor& b) {
  const Tensor table = meetings(a, b);
  const double samples = static_cast<double>(a.size(0));
  const double together = pairs(table), in_a = pairs(table.sum(1)), in_b = pairs(table.sum(0));
  const double chance = samples > 1 ? in_a * in_b / (samples * (samples - 1) / 2) : 0, most = (in_a + in_b) / 2;
  return most == chance ? 1 : (together - chance) / (most - chance);
}

}  // namespace foil
