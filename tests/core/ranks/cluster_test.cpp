// SPDX-License-Identifier: BSD-3-Clause
#include "evaluate/clustering.h"
#include "ranks/in_process.h"
#include "tests/support/error_of.h"

#include <foil/cluster.h>

#include <gtest/gtest.h>
#include <torch/types.h>

#include <numeric>

namespace {

using at::Tensor;
using foil::Error;
using foil::in_process_ranks;
using foil::k_means;
using foil::Partition;
using foil::World;

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
      const int64_t begin =
          std::accumulate(shards.begin(), shards.begin() + static_cast<int64_t>(r), int64_t{0});
      const Tensor q = foil::sinkhorn(s.narrow(0, begin, shards[r]), 0.1, 3, world);
      EXPECT_TRUE(torch::allclose(q, one.narrow(0, begin, shards[r]), 1e-12, 1e-12))
          << "rank " << r << " of " << shards.size();
    });
  }
}

// The least inertia over all 2^n partitions of unit rows into two clusters.
double least_inertia(const Tensor& unit) {
  const int64_t n = unit.size(0);
  double least = std::numeric_limits<double>::infinity();
  for (int64_t mask = 1; mask < (int64_t{1} << n) - 1; ++mask) {
    double inertia = 0;
    for (const int64_t side : {0, 1}) {
      std::vector<int64_t> members;
      for (int64_t i = 0; i < n; ++i) {
        if (((mask >> i) & 1) == side) members.push_back(i);
      }
      const Tensor rows = unit.index_select(0, torch::tensor(members, torch::kLong));
      inertia += (rows - rows.mean(0)).square().sum().item<double>();
    }
    least = std::min(least, inertia);
  }
  return least;
}

TEST(KMeans, FindsTheBestOfAllPartitionsIntoTwo) {
  torch::manual_seed(4);
  const Tensor x = torch::randn({9, 3}, torch::kDouble) * torch::tensor({1.0, 2.0, 5.0}, torch::kDouble);
  const Partition found = k_means(x, 2, {}, *World::single());
  const Tensor unit = x / x.norm(2, {1}, true);
  EXPECT_NEAR(found.inertia, least_inertia(unit), 1e-12);
  for (const int64_t side : {0, 1}) {
    const Tensor members = (found.cluster == side).nonzero().squeeze(1);
    EXPECT_TRUE(torch::allclose(found.centres[side], unit.index_select(0, members).mean(0), 0, 1e-15));
  }
}

TEST(KMeans, TellsSeparateDirectionsApart) {
  // Three directions at several lengths: only the direction counts.
  const Tensor axes = torch::eye(4).slice(0, 0, 3), label = torch::arange(21) % 3;
  torch::manual_seed(1);
  const Tensor x =
      (axes.index_select(0, label) + 0.05 * torch::randn({21, 4})) * torch::linspace(1, 9, 21).unsqueeze(1);
  EXPECT_EQ(foil::adjusted_rand_index(k_means(x, 3, {}, *World::single()).cluster, label), 1);
}

TEST(KMeans, GivesTheSameBitsEveryTime) {
  torch::manual_seed(2);
  const Tensor x = torch::randn({50, 4});
  const Partition first = k_means(x, 5, {}, *World::single()), second = k_means(x, 5, {}, *World::single());
  EXPECT_TRUE(first.cluster.equal(second.cluster));
  EXPECT_EQ(first.inertia, second.inertia);
}

TEST(KMeans, GivesRank0sBitsOnEveryRank) {
  torch::manual_seed(2);
  const Tensor x = torch::randn({50, 4});
  const Partition alone = k_means(x, 5, {}, *World::single());
  in_process_ranks(3, [&](World& world) {
    const Tensor rounded = world.rank() == 0 ? x : x * (1 + 1e-6);  // as two devices may have it
    const Partition found = k_means(rounded, 5, {}, world);
    EXPECT_TRUE(found.cluster.equal(alone.cluster));
    EXPECT_TRUE(found.centres.equal(alone.centres));
    EXPECT_EQ(found.inertia, alone.inertia);
  });
}

TEST(KMeans, KeepsEmptyClustersWhereRowsAreEqual) {
  const Partition found = k_means(torch::ones({6, 3}), 4, {}, *World::single());
  EXPECT_EQ(found.cluster.max().item<int64_t>(), 0);
  EXPECT_NEAR(found.inertia, 0, 1e-15);
}

TEST(KMeans, RefusesMoreClustersThanRows) {
  EXPECT_EQ(foil::test::error_of([] {
              k_means(torch::ones({3, 2}), 4, {}, *World::single());
            }),
            "1 k-means: 4 clusters of 3 rows, allowed: 1 to the number of rows.");
}

}  // namespace
