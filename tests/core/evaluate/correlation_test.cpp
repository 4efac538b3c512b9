// SPDX-License-Identifier: BSD-3-Clause
// Spearman's correlation against values of scipy, with many ties.
#include "evaluate/correlation.h"

#include "evaluate/measuring.h"
#include "ranks/world.h"
#include "tests/support/error_of.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

namespace foil {
namespace {

TEST(AverageRanks, ShareThePlacesOfEqualValues) {
  const Tensor rank = average_ranks(torch::tensor({3, 1, 3, 2, 3, 1}));
  EXPECT_TRUE(rank.equal(torch::tensor({5.0, 1.5, 5.0, 3.0, 5.0, 1.5}, torch::kDouble))) << rank;
}

TEST(Spearman, HasTheValuesOfScipy) {
  // scipy.stats.spearmanr of scipy 1.17.1.
  const Tensor i = torch::arange(100), a = i * i % 13;
  EXPECT_NEAR(spearman(a, (i * 7 + i * i * i) % 11), 0.021753429850142315, 1e-14);
  EXPECT_NEAR(spearman(a, a + i % 5), 0.9253341201161723, 1e-14);
  EXPECT_NEAR(spearman(a, -a * a), -1, 1e-14);
}

TEST(Spearman, OfAConstantIsZero) {
  EXPECT_EQ(spearman(torch::ones({5}), torch::arange(5)), 0);
  EXPECT_EQ(spearman(torch::arange(5), torch::ones({5})), 0);
}

TEST(Spearman, RefusesOtherSizesAndWhatIsNoNumber) {
  EXPECT_EQ(test::error_of([] { spearman(torch::ones({2}), torch::ones({3})); }),
            "1 Spearman: values of [2] and [3], allowed: two of one size, [N] with N >= 2.");
  EXPECT_EQ(test::error_of([] { spearman(torch::ones({1}), torch::ones({1})); }),
            "1 Spearman: values of [1] and [1], allowed: two of one size, [N] with N >= 2.");
  EXPECT_EQ(test::error_of([] {
              spearman(torch::tensor({1.0, std::nan("")}), torch::ones({2}));
            }),
            "4 Spearman: values hold nan or inf.");
}

TEST(PairedCosines, AreThoseOfTheRows) {
  torch::manual_seed(1);
  const Tensor a = torch::randn({40, 37}), b = torch::randn({40, 37});
  const Tensor cosines = paired_cosines(a, b);
  for (int64_t i = 0; i < 40; ++i) {
    double ab = 0, aa = 0, bb = 0;
    for (int64_t j = 0; j < 37; ++j) {
      const double x = a[i][j].item<double>(), y = b[i][j].item<double>();
      ab += x * y;
      aa += x * x;
      bb += y * y;
    }
    EXPECT_NEAR(cosines[i].item<double>(), ab / std::sqrt(aa * bb), 1e-6) << i;
  }
  EXPECT_EQ(test::error_of([&] { paired_cosines(a, b.narrow(0, 0, 3)); }),
            "1 pairs: the rows are [40, 37] and [3, 37]; they must agree.");
}

TEST(Spearman, IsAddedToTheMeasuresOfAPlace) {
  nlohmann::json entries;
  const EvaluationProgress silent;
  const auto world = World::single();
  Measuring of(*world, silent, entries);
  of.place = "projections";
  of.preparation = "bytes";
  of.split = "test";
  of.heads = true;
  const Tensor first = torch::tensor({{1.0, 0.0}, {1.0, 0.0}, {1.0, 0.0}}),
               second = torch::tensor({{1.0, 0.0}, {1.0, 1.0}, {0.0, 1.0}});
  measure_spearman(of, "one", first, "other", second, torch::tensor({5.0, 3.5, 0.0}));
  const nlohmann::json& entry = entries.at("projections.one>other.Spearman");
  EXPECT_NEAR(entry["value"].get<double>(), 1, 1e-15);
  EXPECT_EQ(entry["protocol"], "spearman-cosine/one>other/projections/test3/bytes/v1");
  EXPECT_EQ(entry["headline"], true);
}

}  // namespace
}  // namespace foil
