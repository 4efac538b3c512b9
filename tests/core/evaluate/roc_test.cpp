// SPDX-License-Identifier: BSD-3-Clause
// The area under the ROC curve against a loop over all pairs of a positive and a negative, and against
// scikit-learn.
#include "evaluate/roc.h"

#include "evaluate/measuring.h"
#include "evaluate/retrieval.h"
#include "ranks/in_process.h"
#include "tests/core/evaluate/retrieval_cases.h"
#include "tests/support/error_of.h"

#include <gtest/gtest.h>

#include <cmath>

namespace foil {
namespace {

using test::retrieval_case;
using test::RetrievalCase;

double loop_over_pairs(const std::vector<test::Pair>& scores) {
  double won = 0, met = 0;
  for (const test::Pair& positive : scores) {
    for (const test::Pair& negative : scores) {
      if (!positive.relevant || negative.relevant) continue;
      won += positive.similarity > negative.similarity    ? 1
             : positive.similarity == negative.similarity ? 0.5
                                                          : 0;
      met += 1;
    }
  }
  return won / met;
}

std::vector<test::Pair> all_pairs(const RetrievalCase& c) {
  std::vector<test::Pair> all;
  for (const auto& row : test::ranked_pairs(c)) all.insert(all.end(), row.begin(), row.end());
  return all;
}

double area_under(const std::vector<RocPoint>& curve) {
  double area = 0;
  for (size_t i = 1; i < curve.size(); ++i) {
    area += (curve[i].false_positives - curve[i - 1].false_positives) *
            (curve[i].true_positives + curve[i - 1].true_positives) / 2;
  }
  return area;
}

TEST(Roc, EqualsTheLoopOverAllPairs) {
  torch::manual_seed(1);
  for (const int64_t values : {2, 9, 1000}) {
    const Tensor score = torch::randint(values, {150}), positive = torch::rand({150}) < 0.3;
    std::vector<test::Pair> pairs;
    for (int64_t i = 0; i < 150; ++i) pairs.push_back({score[i].item<int64_t>(), positive[i].item<bool>()});
    EXPECT_NEAR(roc_of(score, positive).auc, loop_over_pairs(pairs), 1e-15) << values;
  }
}

TEST(Roc, HasTheAreaOfScikitLearn) {
  // roc_auc_score of scikit-learn 1.9.1.
  const Tensor i = torch::arange(500), score = (i * i * 7 + 3 * i) % 23;
  EXPECT_NEAR(roc_of(score, i * 5 % 11 < 4).auc, 0.4998441261538995, 1e-15);
  EXPECT_NEAR(roc_of(score, score + i % 7 > 14).auc, 0.9717356410077465, 1e-15);
  // All pairs of the embeddings of Retrieval.HasTheMeansOfScikitLearn.
  const Tensor j = torch::arange(60), k = torch::arange(12);
  const Tensor candidates = torch::stack({j * 7 % 5 - 2, j * 3 % 7 - 3, j % 2}, 1).to(torch::kFloat),
               queries = torch::stack({k * 3 % 5 - 2, k % 3 - 1, torch::ones_like(k)}, 1).to(torch::kFloat);
  EXPECT_NEAR(roc_of_pairs(queries, candidates, {k % 10, j % 9, {}}, *World::single()).auc,
              0.48353694251527074, 1e-15);
}

TEST(Roc, OfPairsIsThatOfAllSimilaritiesForAnyChunkAndRanks) {
  for (const RetrievalCase& c : {retrieval_case(2, 17, 60, 4, 20, 9), retrieval_case(3, 13, 41, 3, 6, 2)}) {
    const std::vector<test::Pair> pairs = all_pairs(c);
    const double truth = loop_over_pairs(pairs);
    const Roc whole = roc_of_pairs(c.queries, c.candidates, c.relevance, *World::single());
    EXPECT_NEAR(whole.auc, truth, 1e-14);
    EXPECT_EQ(whole.positives + whole.negatives, static_cast<int64_t>(pairs.size()));
    for (const int64_t chunk_bytes : {1, 3000, 20000}) {
      EXPECT_EQ(roc_of_pairs(c.queries, c.candidates, c.relevance, *World::single(), 200, chunk_bytes).auc,
                whole.auc);
    }
    for (const int world_size : {2, 3}) {
      in_process_ranks(world_size, [&](World& world) {
        torch::set_num_threads(1);
        const Roc mine = roc_of_pairs(c.queries, c.candidates, c.relevance, world, 200, 9000);
        EXPECT_EQ(mine.auc, whole.auc);
        EXPECT_EQ(mine.curve.size(), whole.curve.size());
      });
    }
  }
}

TEST(Roc, CurveKeepsItsAreaInFewPoints) {
  torch::manual_seed(4);
  const Tensor positive = torch::rand({30000}) < 0.2;
  const Tensor score = torch::randn({30000}) + 1.5 * positive.to(torch::kFloat);
  for (const int64_t points : {2, 20, 200}) {
    const Roc roc = roc_of(score, positive, points);
    EXPECT_LE(static_cast<int64_t>(roc.curve.size()), points);
    EXPECT_GE(static_cast<int64_t>(roc.curve.size()), points - 1);
    EXPECT_EQ(roc.curve.front().false_positives + roc.curve.front().true_positives, 0);
    EXPECT_EQ(roc.curve.back().false_positives + roc.curve.back().true_positives, 2);
    EXPECT_NEAR(area_under(roc.curve), roc.auc, points == 2 ? 0.5 : 2.0 / static_cast<double>(points - 1));
  }
  EXPECT_NEAR(area_under(roc_of(score, positive, 60001).curve), roc_of(score, positive).auc, 1e-4);
}

TEST(Roc, IsOneApartAndHalfCollapsed) {
  const Tensor positive = torch::tensor({true, false, true, false});
  EXPECT_EQ(roc_of(torch::tensor({3.0, 1.0, 2.0, -1.0}), positive).auc, 1);
  EXPECT_EQ(roc_of(torch::tensor({-3.0, 1.0, -2.0, 1.0}), positive).auc, 0);
  EXPECT_EQ(roc_of(torch::zeros({4}), positive).auc, 0.5);
  EXPECT_EQ(roc_of_pairs(torch::ones({5, 3}), torch::ones({5, 3}), own_row(5), *World::single()).auc, 0.5);
}

TEST(Roc, RefusesScoresThatSayNothing) {
  const Tensor score = torch::tensor({1.0, std::nan("")}), both = torch::tensor({true, false});
  const auto message = [](const Tensor& scores, const Tensor& positive) {
    return test::error_of([&] { roc_of(scores, positive); });
  };
  EXPECT_EQ(message(score, both), "4 ROC: 1 of 2 scores are nan or inf, the first is score 1.");
  EXPECT_EQ(message(torch::ones({2}), torch::ones({2}, torch::kBool)),
            "5 ROC: 2 positive and 0 negative scores, allowed: at least one of each.");
  EXPECT_EQ(message(torch::ones({3}), both),
            "1 ROC: scores are [3] and labels bool [2], allowed: bool labels [N] of scores [N].");
  EXPECT_EQ(test::error_of([&] {
              roc_of_pairs(torch::ones({2, 3}), torch::ones({1, 3}),
                           {torch::tensor({0, 1}), torch::tensor({2}), {}}, *World::single());
            }),
            "5 ROC: 0 positive and 2 negative scores, allowed: at least one of each.");
}

TEST(Roc, IsAddedToTheMeasuresOfAPlace) {
  nlohmann::json entries;
  const EvaluationProgress silent;
  const auto world = World::single();
  Measuring of(*world, silent, entries);
  of.place = "features";
  of.preparation = "resize-none";
  of.split = "test";
  torch::manual_seed(5);
  const Tensor rows = torch::randn({6, 4});
  measure_roc(of, {"image", "text", rows, rows, own_row(6), ""});
  const nlohmann::json& entry = entries.at("features.image>text.AUC");
  EXPECT_EQ(entry["value"], 1.0);
  EXPECT_EQ(entry["protocol"], "auc-cosine-ties-half/image>text/features/test6/resize-none/v1");
  EXPECT_EQ(entry["positives"], 6);
  EXPECT_EQ(entry["curve"].front(), nlohmann::json({0.0, 0.0}));
  EXPECT_EQ(entry["curve"].back(), nlohmann::json({1.0, 1.0}));
}

}  // namespace
}  // namespace foil
