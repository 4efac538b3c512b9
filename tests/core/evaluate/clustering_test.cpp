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

TEST(ClassesOfClusters, AgreeWithTheLabelsAsOftenAsAnyRenaming) {
  const Tensor label = ids({0, 0, 0, 1, 1, 1, 1, 2, 2});
  EXPECT_TRUE(
      classes_of_clusters(ids({2, 2, 1, 0, 0, 0, 2, 1, 1}), label).equal(ids({0, 0, 2, 1, 1, 1, 0, 2, 2})));
  // Both clusters are mostly of class 1, which one of them can have.
  EXPECT_TRUE(classes_of_clusters(ids({0, 0, 0, 0, 0, 1, 1, 1, 1}), ids({1, 1, 1, 0, 0, 1, 1, 1, 0}))
                  .equal(ids({0, 0, 0, 0, 0, 1, 1, 1, 1})));
  EXPECT_TRUE(classes_of_clusters(ids({0, 1, 1, 2}), ids({0, 1, 1, 1})).equal(ids({0, 1, 1, -1})));
}

}  // namespace
}  // namespace foil
