// SPDX-License-Identifier: BSD-3-Clause
// Retrieval against the textbook on sorted lists of whole numbers, against scikit-learn, and in the cases
// where arithmetic in fp32 alone would be wrong.
#include "evaluate/retrieval.h"

#include "evaluate/exact_cosine.h"
#include "evaluate/measuring.h"
#include "evaluate/screen.h"
#include "ranks/in_process.h"
#include "tests/core/evaluate/retrieval_cases.h"
#include "tests/support/error_of.h"

#include <gtest/gtest.h>

#include <cmath>
#include <mutex>

namespace foil {
namespace {

using test::retrieval_case;
using test::RetrievalCase;

constexpr int64_t kWhole = int64_t{64} << 20;

Retrieval found_in(const RetrievalCase& c, int64_t chunk_bytes = kWhole, Ranks& ranks = *World::single()) {
  return retrieve(c.queries, c.candidates, c.relevance, ranks, chunk_bytes);
}

// From the definitions, along each sorted list.
void expect_textbook(const RetrievalCase& c, const Retrieval& found, const std::string& what) {
  const auto lists = test::ranked_pairs(c);
  ASSERT_EQ(found.rank.size(0), static_cast<int64_t>(lists.size()));
  for (size_t q = 0; q < lists.size(); ++q) {
    int64_t first = 0, relevant = 0;
    double precision = 0, gain = 0, ideal = 0;
    for (size_t i = 0; i < lists[q].size(); ++i) {
      if (!lists[q][i].relevant) continue;
      const auto place = static_cast<double>(i + 1);
      if (relevant == 0) first = static_cast<int64_t>(i) + 1;
      ++relevant;
      precision += static_cast<double>(relevant) / place;
      if (i < 10) gain += 1 / std::log2(1 + place);
      if (relevant <= 10) ideal += 1 / std::log2(1 + static_cast<double>(relevant));
    }
    const auto row = static_cast<int64_t>(q);
    EXPECT_EQ(found.rank[row].item<int64_t>(), first) << what << ", query " << q;
    EXPECT_EQ(found.relevant[row].item<int64_t>(), relevant) << what << ", query " << q;
    EXPECT_NEAR(found.average_precision[row].item<double>(),
                relevant > 0 ? precision / static_cast<double>(relevant) : 0, 1e-14)
        << what << ", query " << q;
    EXPECT_NEAR(found.ndcg[row].item<double>(), relevant > 0 ? gain / ideal : 0, 1e-14)
        << what << ", query " << q;
  }
}

bool equal(const Retrieval& a, const Retrieval& b) {
  return a.rank.equal(b.rank) && a.relevant.equal(b.relevant) &&
         a.average_precision.equal(b.average_precision) && a.ndcg.equal(b.ndcg);
}

TEST(Retrieval, IsThatOfTheSortedListsForAnyChunk) {
  const std::vector<std::pair<const char*, RetrievalCase>> cases{
      {"few relevant", retrieval_case(1, 37, 211, 7, 60, 40)},
      {"many relevant", retrieval_case(2, 23, 190, 3, 31, 3)},
      {"few directions", retrieval_case(3, 19, 97, 2, 4, 12)},
      {"no ties", retrieval_case(4, 31, 83, 33, 100000, 20)}};
  for (const auto& [what, c] : cases) {
    const Retrieval whole = found_in(c);
    expect_textbook(c, whole, what);
    EXPECT_GT(whole.answerable(), 0);
    EXPECT_LT(whole.answerable(), whole.rank.size(0)) << what << ": no query without an answer";
    for (const int64_t chunk_bytes : {1, 64, 700, 5000, 100000})
      EXPECT_TRUE(equal(found_in(c, chunk_bytes), whole)) << what << ", " << chunk_bytes;
  }
}

TEST(Retrieval, IsTheSameOnEveryRank) {
  for (const int64_t groups : {40, 3}) {
    const RetrievalCase c = retrieval_case(5, 29, 120, 5, 30, groups);
    const Retrieval one = found_in(c);
    for (const int world_size : {2, 3}) {
      in_process_ranks(world_size, [&](World& world) {
        torch::set_num_threads(1);
        EXPECT_TRUE(equal(found_in(c, 3000, world), one)) << groups << " on " << world_size;
      });
    }
  }
  RetrievalCase two = retrieval_case(16, 2, 50, 5, 9, 2);  // a rank without a query
  two.relevance.query = torch::arange(2);
  in_process_ranks(3, [&](World& world) {
    torch::set_num_threads(1);
    EXPECT_TRUE(equal(found_in(two, 3000, world), found_in(two)));
  });
}

TEST(Retrieval, HasTheMeansOfScikitLearn) {
  // average_precision_score and ndcg_score(k=10) of scikit-learn 1.9.1 on the ranking with ties behind.
  const Tensor j = torch::arange(60), i = torch::arange(12);
  const Tensor candidates = torch::stack({j * 7 % 5 - 2, j * 3 % 7 - 3, j % 2}, 1).to(torch::kFloat),
               queries = torch::stack({i * 3 % 5 - 2, i % 3 - 1, torch::ones_like(i)}, 1).to(torch::kFloat);
  const Retrieval found = found_in({queries, candidates, {i % 10, j % 9, {}}});
  EXPECT_EQ(found.answerable(), 11);
  EXPECT_NEAR(found.mean_average_precision(), 0.1558734320158063, 1e-15);
  EXPECT_NEAR(found.mean_ndcg(), 0.13355232179216434, 1e-15);
  EXPECT_NEAR(found.mean_reciprocal_rank(), 0.315909090909091, 1e-15);
  EXPECT_EQ(found.median_rank(), 5);
  EXPECT_DOUBLE_EQ(found.recall_at(1), 2.0 / 11);
  EXPECT_DOUBLE_EQ(found.recall_at(5), 6.0 / 11);
  EXPECT_DOUBLE_EQ(found.recall_at(10), 9.0 / 11);
}

TEST(Retrieval, RanksACollapsedModelBehindEverything) {
  const int64_t rows = 50;
  const Retrieval found = found_in({torch::ones({rows, 8}), torch::ones({rows, 8}) * 3, own_row(rows)});
  EXPECT_TRUE(found.rank.eq(rows).all().item<bool>());
  EXPECT_EQ(found.recall_at(10), 0);
  EXPECT_DOUBLE_EQ(found.mean_average_precision(), 1.0 / 50);
  EXPECT_EQ(found.mean_ndcg(), 0);
}

TEST(Retrieval, LosesNothingWhereOnlyRelevantCandidatesTie) {
  const Tensor candidates = torch::tensor({{2.0, 0.0}, {0.0, 1.0}, {1.0, 0.0}});
  const Retrieval found =
      found_in({torch::tensor({{1.0, 0.0}}), candidates, {torch::tensor({4}), torch::tensor({4, 0, 4}), {}}});
  EXPECT_EQ(found.rank[0].item<int64_t>(), 1);
  EXPECT_EQ(found.mean_average_precision(), 1);
  EXPECT_EQ(found.mean_ndcg(), 1);
}

TEST(Retrieval, WorksWithOneCandidate) {
  const Retrieval found = found_in({torch::tensor({{1.0, 2.0}, {-1.0, 0.0}}),
                                    torch::tensor({{1.0, 0.0}}),
                                    {torch::tensor({3, 5}), torch::tensor({3}), {}}});
  EXPECT_TRUE(found.rank.equal(torch::tensor({1, 0})));
  EXPECT_TRUE(found.relevant.equal(torch::tensor({1, 0})));
  EXPECT_EQ(found.median_rank(), 1);
}

TEST(Retrieval, LeavesOutThePairOfARowWithItself) {
  // Among themselves: each row finds its twin, not itself.
  const Tensor rows = torch::tensor({{1.0, 0.0}, {1.0, 0.1}, {0.0, 1.0}, {0.1, 1.0}});
  Relevance relevance{torch::tensor({0, 0, 1, 1}), torch::tensor({0, 0, 1, 1}), {}};
  relevance.excluded = torch::arange(4).repeat({2, 1});
  const Retrieval found = found_in({rows, rows, relevance});
  EXPECT_TRUE(found.rank.eq(1).all().item<bool>());
  EXPECT_TRUE(found.relevant.eq(1).all().item<bool>());
}

// Far candidates, and some so near to the relevant one that fp32 cannot order them.
RetrievalCase near_ties(double distance) {
  torch::manual_seed(6);
  const int64_t rows = 20, width = 96;
  const Tensor queries = torch::randn({rows, width}, torch::kDouble);
  const Tensor near = queries.repeat({3, 1}) + distance * torch::randn({3 * rows, width}, torch::kDouble);
  const Tensor candidates = torch::cat({near, torch::randn({400, width}, torch::kDouble)});
  const Tensor query = torch::arange(rows);
  return {queries, candidates, {query, torch::cat({query, torch::full({2 * rows + 400}, -1)}), {}}};
}

TEST(Screen, OrdersWhatFp32Cannot) {
  for (const double distance : {0.3, 1e-3, 1e-5}) {
    const RetrievalCase c = near_ties(distance);
    const Retrieval found = found_in(c);
    expect_textbook(c, found, "distance " + std::to_string(distance));
    EXPECT_GT((found.rank == 1).sum().item<int64_t>(), 0);
    EXPECT_GT((found.rank > 1).sum().item<int64_t>(), 0);
  }
}

TEST(Screen, AgreesWithWholeRows) {
  for (const RetrievalCase& c : {retrieval_case(7, 41, 300, 9, 120, 30), near_ties(1e-4)}) {
    const RelevantRows relevant(c.relevance, c.queries.size(0), c.candidates.size(0));
    const Tensor queries = grid_rows(c.queries, kWhole), candidates = grid_rows(c.candidates, kWhole);
    ASSERT_TRUE(can_screen(candidates));
    const auto screened = place_by_screening(queries, 0, candidates, relevant, 77);
    ASSERT_TRUE(screened.has_value());
    const auto exact = place_exactly(queries, 0, candidates, relevant, kWhole);
    ASSERT_EQ(screened->size(), exact.size());
    for (size_t q = 0; q < exact.size(); ++q) {
      EXPECT_EQ((*screened)[q].similarity, exact[q].similarity) << q;
      EXPECT_EQ((*screened)[q].at_least, exact[q].at_least) << q;
    }
  }
}

TEST(Screen, GivesUpWhereNearlyEverythingIsNearlyEqual) {
  torch::manual_seed(8);
  const Tensor rows = grid_rows(torch::ones({60, 16}) + 1e-7 * torch::randn({60, 16}), kWhole);
  const RelevantRows relevant(own_row(60), 60, 60);
  EXPECT_FALSE(place_by_screening(rows, 0, rows, relevant, 16).has_value());
}

TEST(Retrieval, RefusesWhatItCannotMeasure) {
  const Tensor one = torch::ones({1, 2}), two = torch::ones({2, 2});
  const auto message = [&](const Tensor& queries, const Tensor& candidates, const Relevance& relevance) {
    return test::error_of([&] { found_in({queries, candidates, relevance}); });
  };
  EXPECT_EQ(message(two, one, {torch::tensor({0, -1}), torch::tensor({-1}), {}}),
            "5 retrieval: none of the 2 queries has a relevant candidate.");
  EXPECT_EQ(message(one, torch::ones({2, 3}), own_row(1)),
            "1 retrieval: queries are [1, 2] but candidates are [2, 3]; last sizes must agree.");
  EXPECT_EQ(message(one, two, own_row(1)),
            "1 retrieval: the groups of 2 candidates are long int [1], allowed: int64 [2].");
  EXPECT_EQ(message(one, one, {{}, torch::tensor({1}), {}}),
            "1 retrieval: the groups of 1 queries are no tensor, allowed: int64 [1].");
  EXPECT_EQ(message(one, one, {torch::tensor({1}), torch::tensor({1}), torch::tensor({{0}, {1}})}),
            "5 retrieval: excluded pairs name candidates 1 to 1, allowed: 0 to 0.");
  EXPECT_EQ(message(one, one, {torch::tensor({1}), torch::tensor({1}), torch::tensor({0})}),
            "1 retrieval: excluded pairs are long int [1], allowed: int64 [2, E].");
  EXPECT_EQ(message(one * NAN, one, own_row(1)),
            "4 retrieval, queries: 1 of 1 rows hold nan or inf, the first is row 0.");
}

TEST(Retrieval, IsAddedToTheMeasuresOfAPlace) {
  nlohmann::json entries;
  const EvaluationProgress silent;
  const auto world = World::single();
  Measuring of(*world, silent, entries);
  of.place = "projections";
  of.heads = true;
  of.preparation = "resize-none";
  of.split = "test";
  torch::manual_seed(9);
  const Tensor rows = torch::randn({32, 4});
  measure_retrieval(of, {"image", "text", rows, rows, own_row(32), ""});
  const Tensor label = torch::arange(32) % 4, other = torch::arange(8) % 4;
  measure_retrieval(of, {"text", "image", rows, rows.slice(0, 0, 8), {label, other, {}}, "class"});
  const nlohmann::json& first = entries.at("projections.image>text.R@1");
  EXPECT_EQ(first["value"], 100.0);
  EXPECT_EQ(first["title"], "image>text R@1");
  EXPECT_EQ(first["unit"], "%");
  EXPECT_EQ(first["metric"], "image>text.R@1");
  EXPECT_EQ(first["protocol"], "retrieval-cosine-ties-last/image>text/projections/test32/resize-none/v1");
  EXPECT_EQ(first["queries"], 32);
  EXPECT_EQ(entries.at("projections.image>text.MRR")["column"], 2);
  EXPECT_EQ(entries.at("projections.image>text.median_rank")["better"], "lower");
  EXPECT_FALSE(entries.at("projections.image>text.R@5").contains("headline"));
  EXPECT_EQ(entries.at("projections.text>image by class.mAP")["protocol"],
            "retrieval-cosine-ties-last/text>image-class/projections/test32x8/resize-none/v1");
  EXPECT_EQ(entries.size(), 14u);
}

}  // namespace
}  // namespace foil
