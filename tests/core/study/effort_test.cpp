// SPDX-License-Identifier: BSD-3-Clause
// What trials took, from their folders to the tables.
#include "study/effort.h"

#include "folder.h"
#include "run/cost.h"

#include <foil/error.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

using foil_test::Folder;

namespace {

foil::TrialResults knn_results() {
  foil::TrialResults results;
  results.metrics = {{"knn", 80}, {"features.rank", 3}};
  return results;
}

foil::Comparison one_variant(const std::vector<foil::Effort>& efforts) {
  foil::Comparison comparison;
  auto& row = comparison.rows.emplace_back();
  row.name = row.variant = "infonce";
  row.protocol = "knn20";
  for (size_t i = 0; i < efforts.size(); ++i) {
    const auto seed = static_cast<int64_t>(i);
    row.metrics["knn"][seed] = 80 + static_cast<double>(i);
    row.folders[seed] = "";
    row.efforts[seed] = efforts[i];
  }
  return comparison;
}

}  // namespace

TEST(ReadEffort, TakesTheCostOfTheRunBeforeWhatTheStudyCounted) {
  Folder folder;
  EXPECT_EQ(foil::read_effort(folder.path(), 12.5, knn_results()).seconds, 12.5);
  folder.write("cost.json", R"({"seconds": 10.25, "samples": 5120, "peak_memory_bytes": 300000000})");
  const auto effort = foil::read_effort(folder.path(), 12.5, knn_results());
  EXPECT_EQ(effort.seconds, 10.25);
  EXPECT_EQ(effort.samples, 5120);
  EXPECT_EQ(effort.peak_memory, 300000000);
  folder.write("cost.json", "[1]");
  EXPECT_EQ(foil::read_effort(folder.path(), 12.5, knn_results()).seconds, 12.5) << "damaged: not known";
}

TEST(ReadEffort, FindsTheLastAndTheBestEpochOfAHeadlineMetric) {
  Folder folder;
  std::string rows;
  for (const auto& [epoch, knn] : std::map<int, double>{{0, 70}, {1, 79.5}, {2, 79.5}, {3, 78}})
    rows += nlohmann::json({{"step", 10 * epoch + 10},
                            {"epoch", epoch},
                            {"knn", knn},
                            {"knn.protocol", "part"},
                            {"features.rank", 2},
                            {"features.rank.protocol", "part"}})
                .dump() +
            "\n{\"step\": 5, \"knn\": 99, \"epoch\": 0}\n";
  folder.write("metrics.jsonl", rows);
  const auto online = foil::read_effort(folder.path(), 0, knn_results()).online;
  ASSERT_EQ(online.size(), 1u) << "a diagnosis has no best";
  EXPECT_EQ(online.at("knn").last, 78);
  EXPECT_EQ(online.at("knn").best, 79.5);
  EXPECT_EQ(online.at("knn").best_epoch, 2) << "the first of two that are alike";
}

TEST(Effort, StandsBelowTheTableWithTheBestEpochLabelled) {
  const auto comparison = one_variant({{19.6, 24000, 250'000'000, {{"knn", {79.0, 80.5, 7}}}},
                                       {21.4, 24000, 260'000'000, {{"knn", {79.4, 80.1, 8}}}}});
  const std::string text = foil::render(comparison, foil::Format::table);
  EXPECT_NE(
      text.find("\n"
                "variant   seconds   samples   peak memory   kNN %, last epoch   best epoch   which\n"
                "infonce   20 ± 1    24,000    260 MB        79.2 ± 0.3          80.3 ± 0.3   7 to 8\n"
                "Seconds of training and evaluation; peak memory of the process, or of the device where that "
                "is no CPU.\n"
                "Last and best epoch: on a part of the data while training. The best epoch was chosen by the "
                "number itself, so it is no result.\n"),
      std::string::npos)
      << text;
  const std::string markdown = foil::render(comparison, foil::Format::markdown);
  EXPECT_NE(markdown.find("| infonce | 20 ± 1 | 24,000 | 260 MB |"), std::string::npos) << markdown;
  const auto json = nlohmann::json::parse(foil::render(comparison, foil::Format::json));
  EXPECT_EQ(json.at("tables").at(0).at("rows").at(0).at("effort").at("1"),
            nlohmann::json::parse(R"({"seconds": 21.4, "samples": 24000, "peak_memory_bytes": 260000000,
              "while_training": {"knn": {"last_epoch": 79.4, "best_epoch": 80.1, "which": 8}}})"));
}

TEST(Effort, HasNoTableWhereNothingIsKnown) {
  EXPECT_TRUE(foil::effort_grid(foil::tabulate(one_variant({{}, {}})).at(0)).empty());
}

TEST(Cost, AddsUpOverTheProcessesOfARun) {
  Folder folder;
  folder.write("cost.json", R"({"seconds": 100.0, "samples": 64, "peak_memory_bytes": 1})");
  foil::CostRecord(folder.path()).write(128, 0);
  const auto cost = foil::read_cost(folder.path()).value();
  EXPECT_GE(cost.seconds, 100.0);
  EXPECT_LT(cost.seconds, 160.0);
  EXPECT_EQ(cost.samples, 128);
  EXPECT_GT(cost.peak_memory, 1'000'000) << "this process has some memory";
  foil::CostRecord(folder.path()).write(128, int64_t{1} << 50);
  EXPECT_EQ(foil::read_cost(folder.path()).value().peak_memory, int64_t{1} << 50);
}
