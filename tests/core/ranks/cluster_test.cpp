// SPDX-License-Identifier: BSD-3-Clause
#include <foil/cluster.h>

#include "ranks/in_process.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <numeric>

namespace {

using at::Tensor;

Tensor scores(int64_t samples, int64_t prototypes) {
  torch::manual_seed(3);
  return torch::rand({samples, prototypes}, torch::kDouble) * 2 - 1;
}

// The published iteration (SwAV, listing 1 and main_swav.py), on the exponentials, entry by entry.
std::vector<std::vector<double>> slow(const Tensor& s, double epsilon, int iterations) {
  const size_t n = static_cast<size_t>(s.size(0)), k = static_cast<size_t>(s.size(1));
  std::vector<std::vector<double>> q(n, std::vector<double>(k));
  double total = 0;
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < k; ++j) total += q[i][j] = std::exp(s[i][j].item<double>() / epsilon);
  for (auto& row : q)
    for (double& x : row) x /= total;
  for (int t = 0; t < iterations; ++t) {
    for (size_t j = 0; j < k; ++j) {
      double mass = 0;
      for (size_t i = 0; i < n; ++i) mass += q[i][j];
      for (size_t i = 0; i < n; ++i) q[i][j] /= mass * static_cast<double>(k);
    }
    for (size_t i = 0; i < n; ++i) {
      const double mass = std::accumulate(q[i].begin(), q[i].end(), 0.0);
      for (size_t j = 0; j < k; ++j) q[i][j] /= mass * static_cast<double>(n);
    }
  }
  for (auto& row : q)
    for (double& x : row) x *= static_cast<double>(n);
  return q;
}

TEST(Sinkhorn, EqualsThePublishedIteration) {
  const Tensor s = scores(7, 4);
  for (const int iterations : {1, 3, 10}) {
    const Tensor q = foil::sinkhorn(s, 0.2, iterations, *foil::World::single());
    const auto expected = slow(s, 0.2, iterations);
    for (int64_t i = 0; i < 7; ++i)
      for (int64_t j = 0; j < 4; ++j)
        EXPECT_NEAR(q[i][j].item<double>(), expected[static_cast<size_t>(i)][static_cast<size_t>(j)], 1e-13);
  }
}

TEST(Sinkhorn, RowsSumToOneAndPrototypesGetEqualShares) {
  const Tensor q = foil::sinkhorn(scores(12, 4), 0.3, 200, *foil::World::single());
  EXPECT_LT((q.sum(1) - 1).abs().max().item<double>(), 1e-12);
  EXPECT_LT((q.sum(0) - 3).abs().max().item<double>(), 1e-9);
}

TEST(Sinkhorn, StaysFiniteWhereExponentialsDoNot) {
  const Tensor q = foil::sinkhorn(scores(7, 4).to(torch::kFloat) * 10, 0.001, 5, *foil::World::single());
  EXPECT_TRUE(q.isfinite().all().item<bool>());
  EXPECT_LT((q.sum(1) - 1).abs().max().item<float>(), 1e-5);
}

TEST(Sinkhorn, HasNoGradient) {
  EXPECT_FALSE(foil::sinkhorn(scores(5, 3).requires_grad_(), 0.1, 3, *foil::World::single()).requires_grad());
}

TEST(Sinkhorn, BalancesOverTheSamplesOfAllRanks) {
  const Tensor s = scores(7, 4), one = foil::sinkhorn(s, 0.1, 3, *foil::World::single());
  for (const std::vector<int64_t>& shards : {std::vector<int64_t>{4, 3}, {3, 2, 2}, {0, 7}, {5, 0, 2}}) {
    foil::in_process_ranks(static_cast<int>(shards.size()), [&](foil::World& world) {
      const auto r = static_cast<size_t>(world.rank());
      const int64_t begin = std::accumulate(shards.begin(), shards.begin() + static_cast<int64_t>(r), int64_t{0});
      const Tensor q = foil::sinkhorn(s.narrow(0, begin, shards[r]), 0.1, 3, world);
      EXPECT_TRUE(torch::allclose(q, one.narrow(0, begin, shards[r]), 1e-12, 1e-12)) << "rank " << r << " of " << shards.size();
    });
  }
}

}  // namespace
