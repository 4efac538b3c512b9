// SPDX-License-Identifier: BSD-3-Clause
// What evaluate() measures between the modalities of a data set: by projections, as headline numbers, the
// same on any number of ranks, of the split that is asked for.
#include "data/memory.h"
#include "evaluate/evaluate.h"
#include "evaluate/geometry.h"
#include "evaluate/retrieval.h"
#include "ranks/in_process.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

#include <mutex>

namespace foil {
namespace {

Tensor noise(int64_t rows, int64_t columns, uint64_t seed) {
  torch::manual_seed(seed);
  return torch::randn({rows, columns});
}

// Two vectors per sample, of which the second tells of the first; four groups in the test split.
MemoryDataset data_set() {
  const auto table = [](int64_t rows, uint64_t seed, bool grouped) {
    const Tensor left = noise(rows, 6, seed);
    Table made;
    made.columns = {{left, {}}, {torch::cat({left + 0.4 * noise(rows, 6, seed + 1), left}, 1), {}}};
    if (grouped) made.group = torch::arange(rows) % 4;
    return made;
  };
  Contents contents;
  contents.modalities = {{"left", {Kind::vector, {6}, 0}}, {"right", {Kind::vector, {12}, 0}}};
  contents.train = table(8, 1, false);
  contents.test = table(31, 3, true);
  contents.validation = table(17, 5, false);
  return MemoryDataset(std::move(contents));
}

// Features of different widths; z: the first six numbers, or always the same.
std::vector<Subject> subjects(bool collapsed = false) {
  std::vector<Subject> all(2);
  for (size_t m = 0; m < 2; ++m) {
    all[m].modality = m == 0 ? "left" : "right";
    all[m].preparation = "none";
    all[m].prepare = [m](const Views& raw) { return raw.at(m); };
    all[m].encode = [collapsed](const View& view) {
      const Tensor z = view.data.slice(1, 0, 6);
      return Encoded{view.data, collapsed ? torch::ones_like(z) : z};
    };
  }
  return all;
}

EvaluateOptions only_retrieval() {
  EvaluateOptions options;
  options.on = {"projections"};
  options.geometry = false;
  return options;
}

TEST(BetweenModalities, EachIsSearchedForTheSamplesOfTheOtherByProjections) {
  const MemoryDataset data = data_set();
  EvaluateOptions options = only_retrieval();
  options.geometry = options.auc = true;
  const nlohmann::json result = evaluate(subjects(), data, options, *World::single());
  const Views raw = data.read(Split::test, torch::arange(31));
  const Tensor left = raw[0].data, right = raw[1].data.slice(1, 0, 6), groups = data.groups(Split::test);
  const Retrieval want = retrieve(left, right, {groups, groups, {}}, *World::single());
  const nlohmann::json& entry = result.at("projections.left>right by group.R@1");
  EXPECT_DOUBLE_EQ(entry.at("value").get<double>(), 100 * want.recall_at(1));
  EXPECT_EQ(entry.at("protocol"), "retrieval-cosine-ties-last/left>right-group/projections/test31/none/v1");
  EXPECT_EQ(entry.at("headline"), true);
  EXPECT_TRUE(result.contains("projections.right>left by group.MRR"));
  EXPECT_TRUE(result.contains("projections.left>right by group.AUC"));
  EXPECT_DOUBLE_EQ(result.at("projections.left+right.gap").at("value").get<double>(),
                   modality_gap(left, right));
  EXPECT_TRUE(result.contains("left.projections.uniformity"));
  std::vector<int64_t> columns;
  for (const auto& [key, one] : result.items())
    if (one.value("headline", false)) columns.push_back(one.at("column").get<int64_t>());
  std::sort(columns.begin(), columns.end());
  for (size_t i = 0; i < columns.size(); ++i) EXPECT_EQ(columns[i], static_cast<int64_t>(i) + 1);
}

TEST(BetweenModalities, AreTheSameForAnyWorldSize) {
  const MemoryDataset data = data_set();
  torch::set_num_threads(1);  // as the ranks below: sums of many threads round in another order
  const nlohmann::json one = evaluate(subjects(), data, {}, *World::single());
  for (int world_size : {2, 3}) {
    std::mutex mutex;
    in_process_ranks(world_size, [&](World& world) {
      torch::set_num_threads(1);
      const nlohmann::json mine = evaluate(subjects(), data, {}, world);
      const std::lock_guard lock(mutex);
      EXPECT_EQ(mine, one) << nlohmann::json::diff(one, mine);
    });
  }
}

TEST(BetweenModalities, WithoutGroupsTheSampleItselfIsTheAnswerAndACollapsedModelFindsNothing) {
  const MemoryDataset data = data_set();
  EvaluateOptions options = only_retrieval();
  options.split = Split::validation;
  const nlohmann::json result = evaluate(subjects(/*collapsed=*/true), data, options, *World::single());
  EXPECT_EQ(result.at("projections.left>right.R@1").at("value"), 0);
  EXPECT_DOUBLE_EQ(result.at("projections.left>right.MRR").at("value").get<double>(), 1.0 / 17);
  EXPECT_EQ(result.at("projections.left>right.MRR").at("protocol"),
            "retrieval-cosine-ties-last/left>right/projections/validation17/none/v1");
}

}  // namespace
}  // namespace foil
