// SPDX-License-Identifier: BSD-3-Clause
// Several data sets against scipy 1.17: scipy.stats.trim_mean(values, 0.25), mannwhitneyu(a, b).statistic
// over the number of pairs, and numpy's quantiles of 20,000 and 50,000 resamples within the data sets.
#include "study/datasets.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

using foil::Strata;

namespace {

const Strata kA = {{80.1, 80.4, 79.9}, {91.2, 90.8, 91.5, 91.1}, {60.0, 61.0, 62.5}};
const Strata kB = {{79.8, 80.4, 79.5}, {91.6, 91.2, 91.9, 91.1}, {58.0, 59.0, 60.0}};

foil::Row row(const std::string& place, const std::string& variant, const std::vector<double>& values,
              const std::string& protocol) {
  foil::Row made;
  made.name = place + "/" + variant;
  made.variant = variant;
  made.protocol = protocol;
  for (size_t seed = 0; seed < values.size(); ++seed) {
    made.metrics["knn"][static_cast<int64_t>(seed)] = values[seed];
    made.folders[static_cast<int64_t>(seed)] = "";
  }
  return made;
}

// b, the reference, and a on three data sets.
foil::Comparison three_data_sets() {
  foil::Comparison comparison;
  const std::vector<std::string> names = {"cora", "digits", "emoji"};
  for (size_t i = 0; i < 3; ++i) {
    comparison.rows.push_back(row(names[i], "b", kB[i], names[i] + " knn20"));
    comparison.rows.push_back(row(names[i], "a", kA[i], names[i] + " knn20"));
  }
  return comparison;
}

}  // namespace

TEST(InterquartileMean, EqualsScipysTrimmedMean) {
  EXPECT_NEAR(foil::interquartile_mean(kA), 80.8, 1e-12);
  EXPECT_NEAR(foil::interquartile_mean({{3, 1, 2}}), 2, 1e-15) << "a quarter of three is none";
}

TEST(ImprovementProbability, EqualsScipysMannWhitneyStatistic) {
  EXPECT_NEAR(foil::improvement_probability(kA, kB), 0.6388888888888888, 1e-15);
  EXPECT_NEAR(foil::improvement_probability(kB, kA), 1 - 0.6388888888888888, 1e-15);
}

TEST(StratifiedInterval, ResamplesWithinEachDataSet) {
  const auto [low, high] = foil::stratified_interval(
      {kA}, [](const std::vector<Strata>& groups) { return foil::interquartile_mean(groups[0]); });
  EXPECT_NEAR(low, 80.41666667, 0.05);
  EXPECT_NEAR(high, 80.95, 0.05);
  const auto [least, most] = foil::stratified_interval({kA, kB}, [](const std::vector<Strata>& groups) {
    return foil::improvement_probability(groups[0], groups[1]);
  });
  EXPECT_NEAR(least, 0.4375, 0.02);
  EXPECT_NEAR(most, 0.8275, 0.02);
}

TEST(Pool, ComparesTheVariantsThatEveryDataSetHas) {
  auto comparison = three_data_sets();
  comparison.rows.push_back(row("cora", "c", {70, 71}, "cora knn20"));
  const auto pooled = foil::pool(foil::tabulate(comparison));
  ASSERT_EQ(pooled.size(), 1u);
  EXPECT_EQ(pooled[0].reference, "b");
  EXPECT_EQ(pooled[0].data_sets, 3);
  ASSERT_EQ(pooled[0].rows.size(), 2u);
  EXPECT_FALSE(pooled[0].rows[0].improvement.has_value());
  EXPECT_NEAR(pooled[0].rows[1].middle, 80.8, 1e-12);
  EXPECT_NEAR(pooled[0].rows[1].improvement.value(), 0.6388888888888888, 1e-15);
  const std::string text = foil::render(comparison, foil::Format::table);
  EXPECT_NE(text.find("variant   kNN %               better than b\n"), std::string::npos) << text;
  EXPECT_NE(text.find("Over 3 data sets: interquartile mean of all seeds with its 95 % interval"),
            std::string::npos);
  const auto json = nlohmann::json::parse(foil::render(comparison, foil::Format::json));
  EXPECT_EQ(json.at("across_data_sets").at(0).at("rows").at(1).at("variant"), "a");
}

TEST(Pool, SaysNothingOfTwoProtocolsOfOneDataSet) {
  foil::Comparison comparison;
  for (const std::string protocol : {"cora knn20", "cora knn200"}) {
    comparison.rows.push_back(row(protocol, "a", {80, 81}, protocol));
    comparison.rows.push_back(row(protocol, "b", {82, 81}, protocol));
  }
  EXPECT_TRUE(foil::pool(foil::tabulate(comparison)).empty());
}

TEST(Pool, TurnsRoundWhereLowerIsBetter) {
  auto comparison = three_data_sets();
  for (auto& one : comparison.rows) one.measures["knn"] = {"error", "%", 1, foil::Better::lower, true, 1};
  EXPECT_NEAR(foil::pool(foil::tabulate(comparison)).at(0).rows[1].improvement.value(),
              1 - 0.6388888888888888, 1e-15);
}
