// SPDX-License-Identifier: BSD-3-Clause
// Which keys were swept, and the analysis of variance of a grid against numbers made by hand.
#include "study/factors.h"

#include <gtest/gtest.h>

using foil::Comparison;
using foil::Row;

namespace {

Row row(const std::string& name, const std::map<std::string, std::string>& config,
        const std::vector<double>& values) {
  Row made;
  made.name = name;
  made.protocol = "knn20";
  made.config = config;
  for (size_t seed = 0; seed < values.size(); ++seed) {
    made.metrics["knn"][static_cast<int64_t>(seed)] = values[seed];
    made.folders[static_cast<int64_t>(seed)] = "";
  }
  return made;
}

// infonce and dcl at three temperatures; an option that only dcl has, and one that follows from the loss.
Comparison grid() {
  Comparison comparison;
  const std::map<std::string, std::vector<std::vector<double>>> values = {
      {"infonce", {{66, 67}, {71, 72}, {70, 71.5}}}, {"dcl", {{69, 68}, {72, 74}, {71, 72}}}};
  for (const std::string loss : {"infonce", "dcl"}) {
    const std::vector<std::pair<std::string, std::string>> temperatures = {
        {"1", "1.0"}, {"0.1", "0.1"}, {"0.2", "0.2"}};
    for (size_t i = 0; i < 3; ++i) {
      std::map<std::string, std::string> config = {{"loss.name", "\"" + loss + "\""},
                                                   {"loss.temperature", temperatures[i].second},
                                                   {"model.weights", loss == "dcl" ? "\"x\"" : "\"\""},
                                                   {"loss.warm", loss == "dcl" ? "3" : "4"},
                                                   {"run.seed", std::to_string(i)}};
      if (loss == "dcl") config["loss.mask"] = "\"exact\"";
      comparison.rows.push_back(
          row(loss + " temperature=" + temperatures[i].first, config, values.at(loss)[i]));
    }
  }
  return comparison;
}

}  // namespace

TEST(SweptOf, FindsTheKeysThatNamesTellAndNotWhatFollowsFromThem) {
  const Comparison comparison = grid();
  const auto table = foil::tabulate(comparison).at(0);
  const foil::Swept swept = foil::swept_of(comparison, table);
  ASSERT_EQ(swept.factors.size(), 2u);
  EXPECT_EQ(swept.factors[0].key, "loss.name");
  EXPECT_EQ(swept.factors[0].title, "loss");
  EXPECT_EQ(swept.factors[0].levels, (std::vector<std::string>{"infonce", "dcl"}));
  EXPECT_EQ(swept.factors[1].key, "loss.temperature");
  EXPECT_EQ(swept.factors[1].levels, (std::vector<std::string>{"0.1", "0.2", "1"}));
  EXPECT_TRUE(swept.factors[1].numeric);
  EXPECT_EQ(swept.factors[1].values, (std::vector<double>{0.1, 0.2, 1}));
  EXPECT_TRUE(swept.factors[0].values.empty());
  EXPECT_TRUE(swept.full);
  EXPECT_EQ(foil::row_at(swept, 1, 2).name, "dcl temperature=1");
}

TEST(SweptOf, FindsThemUnderLabelsToo) {
  Comparison comparison = grid();
  comparison.labels.variants = {{"infonce", "InfoNCE"}, {"temperature=0.1", "cool"}};
  const Comparison named = foil::labelled(comparison);
  EXPECT_EQ(named.rows[1].name, "InfoNCE cool");
  const auto table = foil::tabulate(named).at(0);
  EXPECT_EQ(foil::swept_of(named, table).factors.size(), 2u);
}

TEST(SweptOf, TakesWhatIsNotNamedForTheValueThatStood) {
  Comparison comparison;  // one key at a time
  comparison.rows = {row("base", {{"loss.temperature", "0.5"}, {"head.kind", "\"linear\""}}, {1}),
                     row("temperature=1", {{"loss.temperature", "1.0"}, {"head.kind", "\"linear\""}}, {2}),
                     row("kind=none", {{"loss.temperature", "0.5"}, {"head.kind", "\"none\""}}, {3})};
  const auto table = foil::tabulate(comparison).at(0);
  const foil::Swept swept = foil::swept_of(comparison, table);
  EXPECT_EQ(swept.factors.size(), 2u);
  EXPECT_FALSE(swept.full);
  EXPECT_FALSE(foil::variance_shares(swept, "knn"));
}

TEST(VarianceShares, AreThoseOfAnAnalysisOfVariance) {
  const Comparison comparison = grid();
  const auto table = foil::tabulate(comparison).at(0);
  const foil::Swept swept = foil::swept_of(comparison, table);
  const auto shares = foil::variance_shares(swept, "knn");
  ASSERT_TRUE(shares);
  EXPECT_NEAR(shares->factors[0], 0.09833276624702342, 1e-12);
  EXPECT_NEAR(shares->factors[1], 0.8050357264375636, 1e-12);
  EXPECT_NEAR(shares->together, 0.012929567880230919, 1e-12);
  EXPECT_NEAR(shares->seeds, 0.083701939435182, 1e-12);
  EXPECT_EQ(foil::level_values(swept, swept.factors[1], 2, "knn"), (foil::BySeed{{0, 67.5}, {1, 67.5}}));
}

TEST(VarianceShares, WantTheSameSeedsOfEveryVariant) {
  Comparison comparison = grid();
  comparison.rows[2].metrics["knn"].erase(1);
  const auto table = foil::tabulate(comparison).at(0);
  EXPECT_FALSE(foil::variance_shares(foil::swept_of(comparison, table), "knn"));
}
