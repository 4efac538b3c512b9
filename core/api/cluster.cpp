// SPDX-License-Identifier: BSD-3-Clause
// Sinkhorn and Knopp's iteration on logarithms over all ranks, and k-means on rank 0 for all of them.
#include "evaluate/checks.h"

#include <foil/cluster.h>
#include <foil/random.h>

#include <torch/types.h>

#include <limits>

namespace foil {

at::Tensor sinkhorn(const at::Tensor& scores, double epsilon, int64_t iterations, Ranks& ranks) {
  torch::NoGradGuard no_grad;
  at::Tensor log_code = scores.detach() / epsilon;  // [B, prototypes]
  for (int64_t i = 0; i < iterations; ++i) {
    const at::Tensor own = log_code.size(0) > 0 ? log_code.logsumexp(0, /*keepdim=*/true)
                                                : log_code.new_full({1, log_code.size(1)},
                                                                    -std::numeric_limits<double>::infinity());
    log_code = log_code - ranks.gather(own).logsumexp(0);  // the mass of each prototype
    log_code = log_code - log_code.logsumexp(1, /*keepdim=*/true);
  }
  return log_code.exp().detach();
}

namespace {

// Squared distances of rows x [N, F] to centres [K, F]: [N, K].
at::Tensor squared_distances(const at::Tensor& x, const at::Tensor& centres) {
  const at::Tensor lengths = x.square().sum(1, true) + centres.square().sum(1);
  return torch::addmm(lengths, x, centres.t(), 1, -2).clamp_min(0);
}

// k-means++: each further centre is a row drawn with probability proportional to its squared distance to the
// nearest centre.
at::Tensor first_centres(const at::Tensor& x, int64_t clusters, Draws draws) {
  const auto drawn = [&](const at::Tensor& weight) {
    const at::Tensor sums = weight.cumsum(0);
    const at::Tensor at =
        torch::searchsorted(sums, sums[-1] * static_cast<double>(draws.uniform()), false, /*right=*/true);
    return x[at.clamp_max(x.size(0) - 1).item<int64_t>()];
  };
  std::vector<at::Tensor> centres{drawn(torch::ones({x.size(0)}, x.options()))};
  at::Tensor nearest = squared_distances(x, centres[0].unsqueeze(0)).squeeze(1);  // [N]
  while (static_cast<int64_t>(centres.size()) < clusters) {
    centres.push_back(drawn(nearest));
    nearest = torch::minimum(nearest, squared_distances(x, centres.back().unsqueeze(0)).squeeze(1));
  }
  return torch::stack(centres);
}

Partition lloyd(const at::Tensor& x, at::Tensor centres, int64_t max_iterations) {
  at::Tensor cluster;
  for (int64_t i = 0;; ++i) {
    const auto [distance, nearest] = squared_distances(x, centres).min(1);
    const bool settled = i > 0 && nearest.equal(cluster);
    cluster = nearest;
    if (settled || i == max_iterations) return {cluster, centres, distance.sum().item<double>()};
    const at::Tensor member = torch::one_hot(cluster, centres.size(0)).to(x.dtype());  // [N, K]
    const at::Tensor rows = member.sum(0).unsqueeze(1);                                // [K, 1]
    centres = torch::where(rows > 0, member.t().mm(x) / rows.clamp_min(1), centres);
  }
}

}  // namespace

Partition k_means(const at::Tensor& x, int64_t clusters, const KMeansOptions& options, Ranks& ranks) {
  torch::NoGradGuard no_grad;
  check_embeddings("k-means", x);
  if (clusters < 1 || clusters > x.size(0)) {
    fail(Exit::failure, "k-means: ", clusters, " clusters of ", x.size(0),
         " rows, allowed: 1 to the number of rows.");
  }
  const at::Tensor rows = unit_rows(x);
  Partition best{torch::zeros({rows.size(0)}, rows.options()),
                 torch::zeros({clusters, rows.size(1)}, rows.options()), 0};
  for (int64_t r = 0; ranks.rank() == 0 && r < options.restarts; ++r) {
    const Draws draws(mix_key(name_key("k-means"), options.seed), static_cast<uint64_t>(r));
    Partition found = lloyd(rows, first_centres(rows, clusters, draws), options.max_iterations);
    if (r == 0 || found.inertia < best.inertia) best = std::move(found);
  }
  const at::Tensor inertia = torch::full({}, best.inertia, rows.options());
  return {ranks.sum(best.cluster.to(torch::kDouble)).to(torch::kLong), ranks.sum(best.centres),
          ranks.sum(inertia).item<double>()};
}

}  // namespace foil
