// SPDX-License-Identifier: BSD-3-Clause
// Means and bands of curves over seeds, and which lines share an axis.
#include "study/curves.h"

#include <gtest/gtest.h>

using foil::Points;

TEST(OverSeeds, TakesTheMeanAndTheDeviationAtTheStepsOfTheShortest) {
  // At step 10 the longer curve stands between 2 and 4; at 30 it has ended.
  const auto series =
      foil::over_seeds({{{0, 1}, {10, 5}, {20, 3}, {30, 7}}, {{0, 1}, {5, 2}, {15, 4}, {20, 3}, {25, 0}}});
  EXPECT_EQ(series.points, (Points{{0, 1}, {10, 4}, {20, 3}, {30, 7}}));
  ASSERT_EQ(series.band.size(), 4u);
  EXPECT_NEAR(series.band[1].first, 4 - std::sqrt(2.0), 1e-12);
  EXPECT_NEAR(series.band[1].second, 4 + std::sqrt(2.0), 1e-12);
  EXPECT_EQ(series.band[3], std::pair(7.0, 7.0));
}

TEST(OverSeeds, GivesOneCurveNoBand) {
  const auto series = foil::over_seeds({{{1, 2}, {2, 1}}});
  EXPECT_EQ(series.points, (Points{{1, 2}, {2, 1}}));
  EXPECT_TRUE(series.band.empty());
  EXPECT_TRUE(foil::over_seeds({}).points.empty());
}

TEST(ByScale, PartsLinesThatWouldLookLevelBesideAnother) {
  const auto line = [](const std::string& name, double from, double to) {
    return foil::PlotSeries{name, {{0, from}, {1, to}}};
  };
  const auto parts = foil::by_scale({line("infonce", 6.5, 4.6), line("barlow", 120, 20),
                                     line("dcl", 6.9, 4.4), line("vicreg", 25, 18), line("stuck", 100, 100)});
  std::string names;
  for (const auto& part : parts) {
    names += names.empty() ? "" : " | ";
    for (const auto& series : part) names += series.name + " ";
  }
  EXPECT_EQ(names, "infonce dcl  | barlow  | vicreg  | stuck ");
}
