// SPDX-License-Identifier: BSD-3-Clause
// The classification of nodes against scikit-learn 1.8.0 (liblinear, OneVsRestClassifier, GridSearchCV).
#include "evaluate/node_probe.h"

#include "evaluate/measuring.h"
#include "ranks/world.h"
#include "tests/support/error_of.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

namespace foil {
namespace {

Tensor ints(const std::vector<int64_t>& values) { return torch::tensor(values, torch::kLong); }

// 80 nodes of three classes, four features, not scaled; no draw, so that any program can make them.
struct Nodes80 {
  Tensor x = torch::empty({80, 4}, torch::kDouble), y = torch::empty({80}, torch::kLong);
  Nodes80() {
    for (int64_t i = 0; i < 80; ++i) {
      y[i] = (i * i + i / 5) % 3;
      for (int64_t j = 0; j < 4; ++j) {
        const auto a = static_cast<double>(i), b = static_cast<double>(j);
        x[i][j] = std::sin(1.7 * a + 2.3 * b * b + 0.1 * a * b) + (y[i].item<int64_t>() == j ? 0.9 : 0.0);
      }
    }
  }
  Tensor rows(int64_t from, int64_t to) const { return x.slice(0, from, to); }
  Tensor labels(int64_t from, int64_t to) const { return y.slice(0, from, to); }
};

TEST(OneVersusRest, IsWhatLiblinearFindsForEveryC) {
  const Nodes80 nodes;
  const Tensor x = nodes.rows(0, 43) / nodes.rows(0, 43).norm(2, {1}, true);
  NodeProbeOptions options;
  options.tolerance = 1e-10;
  const std::vector<Tensor> found =
      one_versus_rest(x, nodes.labels(0, 43), 3, {std::exp2(-10), 0.5, 512}, options);
  const std::vector<Tensor> known = {
      torch::tensor({{0.00078547, -0.00385111, -0.00386534, 0.00135775, -0.00530364},
                     {-0.00432669, 0.00362902, -0.00208602, -0.00072567, -0.00627498},
                     {-0.00105471, -0.00354954, 0.00262236, -0.00103078, -0.00917599}},
                    torch::kDouble),
      torch::tensor({{0.35773727, -0.71016082, -0.78877686, 0.41750351, -0.32392805},
                     {-0.76077055, 0.94910248, -0.25030824, -0.15522962, -0.53017173},
                     {0.1659778, -0.41942408, 0.93510738, -0.24165449, -0.90820873}},
                    torch::kDouble),
      torch::tensor({{0.75350163, -1.58136011, -1.84721646, 1.15684747, -0.29805408},
                     {-1.43358205, 2.19628434, -0.3649278, -0.31672985, -0.9096274},
                     {1.22848895, -0.34552973, 3.22566235, -0.70554364, -2.21923297}},
                    torch::kDouble)};
  ASSERT_EQ(found.size(), 3u);
  for (size_t i = 0; i < 3; ++i)
    EXPECT_LT((found[i] - known[i]).abs().max().item<double>(), 1e-7) << "C number " << i;
}

TEST(OneVersusRest, TakesMoreFeaturesThanRows) {
  const Nodes80 nodes;
  const Tensor x = nodes.rows(0, 3), wide = torch::cat({x, x, x}, 1) / std::sqrt(3.0);  // the same products
  const Tensor narrow = one_versus_rest(x, ints({0, 1, 2}), 3, {2})[0],
               found = one_versus_rest(wide, ints({0, 1, 2}), 3, {2})[0];
  EXPECT_EQ(found.sizes(), (std::vector<int64_t>{3, 13}));
  EXPECT_TRUE(
      torch::allclose(wide.mm(found.slice(1, 0, 12).t()), x.mm(narrow.slice(1, 0, 4).t()), 1e-4, 1e-5));
}

TEST(NodeProbe, ChoosesCAndScoresAsScikitLearn) {
  const Nodes80 nodes;
  const NodeProbe folds =
      probe_by_folds(nodes.rows(0, 43), nodes.labels(0, 43), nodes.rows(43, 80), nodes.labels(43, 80), 3, {});
  EXPECT_EQ(folds.c, 16) << "the smallest of six equals";
  EXPECT_NEAR(folds.chosen_by, 0.3472222222222222, 1e-12);
  EXPECT_NEAR(folds.f1.micro, 0.6216216216216216, 1e-12);
  EXPECT_NEAR(folds.f1.macro, 0.6177450980392157, 1e-12);
  const NodeProbe validation =
      probe_by_validation(nodes.rows(0, 30), nodes.labels(0, 30), nodes.rows(30, 55), nodes.labels(30, 55),
                          nodes.rows(55, 80), nodes.labels(55, 80), 3, {});
  EXPECT_EQ(validation.c, std::exp2(-7));
  EXPECT_NEAR(validation.chosen_by, 0.52, 1e-12);
  EXPECT_NEAR(validation.f1.micro, 0.68, 1e-12);
  EXPECT_NEAR(validation.f1.macro, 0.6474358974358975, 1e-12);
}

TEST(F1Scores, AreThoseOfScikitLearnWithAbsentClasses) {
  const F1 f1 = f1_scores(ints({0, 1, 1, 2, 2, 4, 4}), ints({0, 0, 1, 2, 2, 2, 4}), 6);
  EXPECT_NEAR(f1.micro, 0.7142857142857143, 1e-14);
  EXPECT_NEAR(f1.macro, 0.4666666666666667, 1e-14);
}

// The measures of the 80 nodes, of which three have no label, with a split of 30, 25 and 22.
nlohmann::json measured(const NodeProbeOptions& options) {
  Nodes80 nodes;
  for (const int64_t node : {3, 40, 79}) nodes.y[node] = -1;
  const std::shared_ptr<World> world = World::single();
  const EvaluationProgress silent;
  nlohmann::json result = nlohmann::json::object();
  Measuring of(*world, silent, result);
  of.place = "features";
  of.heads = true;
  of.preparation = "none";
  of.classes = 3;
  of.split = "test";
  const auto known = [&](int64_t from, int64_t to) {
    const Tensor range = torch::arange(from, to);
    return range.masked_select(nodes.y.index_select(0, range) >= 0);
  };
  of.nodes = {nodes.x, nodes.y, known(0, 30), known(30, 55), known(55, 80)};
  measure_nodes(of, options);
  return result;
}

TEST(MeasureNodes, TakesTheMeanOverSplitsThatFollowTheirSeed) {
  NodeProbeOptions options;
  options.splits = 3;
  options.share = 0.3;
  const nlohmann::json result = measured(options);
  EXPECT_EQ(result["features.node_f1"]["protocol"],
            "node-micro-f1-one-versus-rest-logistic-unit-c0.0009765625to512by20-folds5-random3of0.3-seed0/"
            "features/nodes77/none/v1");
  EXPECT_EQ(
      result["features.public_macro_f1"]["protocol"],
      "node-macro-f1-one-versus-rest-logistic-unit-c0.0009765625to512by20-validation24-train29/features/"
      "test24/none/v1");
  EXPECT_EQ(result["features.node_f1"]["metric"], "node_f1");
  EXPECT_EQ(result["features.node_f1"]["c"].size(), 3u);
  EXPECT_GT(result["features.node_f1"]["spread"], 0);
  EXPECT_EQ(measured(options), result);
  options.seed = 1;
  EXPECT_NE(measured(options)["features.node_f1"]["value"], result["features.node_f1"]["value"]);
}

TEST(MeasureNodes, RefusesAShareOfFewerNodesThanFolds) {
  NodeProbeOptions options;
  options.share = 0.05;
  EXPECT_EQ(test::refusal([&] { measured(options); }),
            "evaluate.node_share = 0.05, allowed: a share of the 77 nodes with a label that is 5 or more.");
}

}  // namespace
}  // namespace foil
