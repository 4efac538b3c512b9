// SPDX-License-Identifier: BSD-3-Clause
#include "evaluate/clustering.h"

#include <foil/error.h>
#include <gtest/gtest.h>
#include <torch/types.h>

namespace foil {
namespace {

Tensor ids(const std::vector<int64_t>& values) { return torch::tensor(values, torch::kLong); }

// Values of scikit-learn 1.9.1's normalized_mutual_info_score and adjusted_rand_score.
struct Known {
  std::vector<int64_t> a, b;
  double nmi, ari;
};
const std::vector<Known> known{{{0, 0, 1, 1, 2, 2, 2}, {5, 5, 5, 3, 3, 4, 4}, 0.5636355530993447, 0.2125},
                               {{0, 0, 1, 2}, {0, 0, 1, 1}, 0.8, 0.5714285714285714},
                               {{0, 0, 1, 1}, {0, 1, 0, 1}, 0, -0.5},
                               {{0, 0, 0, 0}, {0, 1, 2, 3}, 0, 0},
                               {{3, 3, 3}, {1, 1, 1}, 1, 1},
                               {{0, 1, 2}, {2, 0, 1}, 1, 1}};

TEST(Agreement, HasTheValuesOfScikitLearnInBothOrders) {
  for (size_t i = 0; i < known.size(); ++i) {
    const Tensor a = ids(known[i].a), b = ids(known[i].b);
    EXPECT_NEAR(normalized_mutual_information(a, b), known[i].nmi, 1e-14) << "case " << i;
    EXPECT_NEAR(normalized_mutual_information(b, a), known[i].nmi, 1e-14) << "case " << i;
    EXPECT_NEAR(adjusted_rand_index(a, b), known[i].ari, 1e-14) << "case " << i;
    EXPECT_NEAR(adjusted_rand_index(b, a), known[i].ari, 1e-14) << "case " << i;
  }
}

TEST(Agreement, RefusesPartitionsOfTwoSizes) {
  EXPECT_THROW(adjusted_rand_index(ids({0, 1}), ids({0, 1, 2})), Error);
  EXPECT_THROW(normalized_mutual_information(ids({}), ids({})), Error);
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
      const Tensor rows = unit.index_select(0, ids(members));
      inertia += (rows - rows.mean(0)).square().sum().item<double>();
    }
    least = std::min(least, inertia);
  }
  return least;
}

TEST(KMeans, FindsTheBestOfAllPartitionsIntoTwo) {
  torch::manual_seed(4);
  const Tensor x = torch::randn({9, 3}, torch::kDouble) * torch::tensor({1.0, 2.0, 5.0}, torch::kDouble);
  const Partition found = k_means(x, 2);
  EXPECT_NEAR(found.inertia, least_inertia(x / x.norm(2, {1}, true)), 1e-12);
}

TEST(KMeans, TellsSeparateDirectionsApart) {
  // Three directions at several lengths: only the direction counts.
  const Tensor axes = torch::eye(4).slice(0, 0, 3), label = torch::arange(21) % 3;
  torch::manual_seed(1);
  const Tensor x = (axes.index_select(0, label) + 0.05 * torch::randn({21, 4})) * torch::linspace(1, 9, 21).unsqueeze(1);
  EXPECT_EQ(adjusted_rand_index(k_means(x, 3).cluster, label), 1);
}

TEST(KMeans, GivesTheSameBitsEveryTime) {
  torch::manual_seed(2);
  const Tensor x = torch::randn({50, 4});
  const Partition first = k_means(x, 5), second = k_means(x, 5);
  EXPECT_TRUE(first.cluster.equal(second.cluster));
  EXPECT_EQ(first.inertia, second.inertia);
}

TEST(KMeans, KeepsEmptyClustersWhereRowsAreEqual) {
  const Partition found = k_means(torch::ones({6, 3}), 4);
  EXPECT_EQ(found.cluster.max().item<int64_t>(), 0);
  EXPECT_NEAR(found.inertia, 0, 1e-15);
}

TEST(KMeans, RefusesMoreClustersThanRows) {
  try {
    k_means(torch::ones({3, 2}), 4);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "k-means: 4 clusters of 3 rows, allowed: 1 to the number of rows.");
  }
}

}  // namespace
}  // namespace foil
