// SPDX-License-Identifier: BSD-3-Clause
// kNN against a loop over all pairs, and the cases that a topk and a bincount get wrong: ties, empty classes,
// low temperatures.
#include "evaluate/knn.h"

#include "ranks/world.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace foil {
namespace {

constexpr int64_t kWhole = int64_t{64} << 20;

Tensor doubles(std::vector<std::vector<double>> rows) {
  std::vector<Tensor> all;
  for (const auto& row : rows) all.push_back(torch::tensor(row, torch::kDouble));
  return torch::stack(all);
}

// One label a query, from the definition: cosine, nearest first, lower row first, votes.
std::vector<int64_t> predicted(const Tensor& bank, const Tensor& labels, const Tensor& queries,
                               const KnnOptions& options) {
  const auto query = queries.accessor<float, 2>(), row = bank.accessor<float, 2>();
  std::vector<int64_t> out;
  for (int64_t q = 0; q < queries.size(0); ++q) {
    std::vector<std::pair<double, int64_t>> order;  // (-cosine, row)
    for (int64_t n = 0; n < bank.size(0); ++n) {
      double dot = 0, qq = 0, nn = 0;
      for (int64_t f = 0; f < bank.size(1); ++f) {
        const double a = query[q][f], b = row[n][f];
        dot += a * b;
        qq += a * a;
        nn += b * b;
      }
      order.emplace_back(-dot / std::sqrt(qq * nn), n);
    }
    std::sort(order.begin(), order.end());
    std::map<int64_t, double> votes;
    for (int64_t i = 0; i < options.neighbours; ++i) {
      const auto [minus_cosine, n] = order[static_cast<size_t>(i)];
      votes[labels[n].item<int64_t>()] +=
          options.vote == Vote::weighted ? std::exp(-minus_cosine / options.temperature) : 1;
    }
    int64_t best = -1;
    for (int64_t i = 0; i < options.neighbours; ++i) {
      const int64_t c = labels[order[static_cast<size_t>(i)].second].item<int64_t>();
      if (best < 0 || votes[c] > votes[best]) best = c;
    }
    out.push_back(best);
  }
  return out;
}

// Whether one query gets the class `expected`, with room for classes that nobody has.
bool votes_for(int64_t expected, const Tensor& bank, const std::vector<int64_t>& labels, const Tensor& query,
               const KnnOptions& options, int64_t chunk_bytes = kWhole) {
  return knn_accuracy(bank, torch::tensor(labels), query.view({1, -1}), torch::tensor({expected}), 10,
                      options, *World::single(), chunk_bytes) == 1.0;
}

std::string message_of(const std::function<void()>& call, Exit code) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    return error.what();
  }
  return "no error";
}

TEST(Knn, EqualsTheLoopOverAllPairs) {
  torch::manual_seed(1);
  const Tensor bank = torch::randn({211, 7}), queries = torch::randn({37, 7}),
               labels = torch::randint(5, {211});
  for (const Vote vote : {Vote::weighted, Vote::majority}) {
    for (int64_t k : {1, 2, 20, 211}) {
      const KnnOptions options{k, 0.07, vote};
      const Tensor truth = torch::tensor(predicted(bank, labels, queries, options));
      EXPECT_EQ(knn_accuracy(bank, labels, queries, truth, 5, options, *World::single()), 1.0)
          << static_cast<int>(vote) << " k=" << k;
      EXPECT_EQ(knn_accuracy(bank, labels, queries, (truth + 1) % 5, 5, options, *World::single()), 0.0)
          << static_cast<int>(vote) << " k=" << k;
    }
  }
}

TEST(Knn, IsTheShareOfQueriesThatHit) {
  const Tensor bank = doubles({{1, 0}, {0, 1}}), queries = doubles({{2, 1}, {1, 3}, {5, 0}});
  const double accuracy =
      knn_accuracy(bank, torch::tensor({4, 6}), queries, torch::tensor({4, 6, 6}), 10, {1}, *World::single());
  EXPECT_DOUBLE_EQ(accuracy, 2.0 / 3);
}

TEST(Knn, DoesNotDependOnTheLengthOfRows) {
  torch::manual_seed(2);
  const Tensor bank = torch::randn({50, 3}), queries = torch::randn({9, 3}), labels = torch::randint(4, {50});
  const Tensor truth = torch::tensor(predicted(bank, labels, queries, {5}));
  const Tensor length = torch::rand({50, 1}) * 100 + 0.01;
  EXPECT_EQ(knn_accuracy(bank * length, labels, queries * 1e-3, truth, 4, {5}, *World::single()), 1.0);
}

TEST(Knn, TakesTheLowerRowOfEqualSimilarities) {
  // 90 equal rows in three classes: the first k decide, wherever the tiles cut, also between copies that
  // differ in length.
  torch::manual_seed(3);
  const Tensor row = torch::randn({13});
  std::vector<int64_t> labels(90);
  for (size_t i = 0; i < 90; ++i) labels[i] = i < 4 ? 7 : i < 7 ? 2 : 5;
  Tensor bank = row.repeat({90, 1});
  bank.select(0, 1).mul_(2);
  for (int64_t chunk_bytes : {int64_t{64}, int64_t{600}, int64_t{5000}, kWhole}) {
    for (const Vote vote : {Vote::weighted, Vote::majority}) {
      EXPECT_TRUE(votes_for(7, bank, labels, row, {7, 0.07, vote}, chunk_bytes))
          << chunk_bytes;  // 4 against 3
      EXPECT_TRUE(votes_for(7, bank, labels, row, {11, 0.07, vote}, chunk_bytes))
          << chunk_bytes;  // 4, 3, 4: 7 is nearer
      EXPECT_TRUE(votes_for(5, bank, labels, row, {12, 0.07, vote}, chunk_bytes)) << chunk_bytes;  // 4, 3, 5
    }
  }
}

TEST(Knn, TakesTheLowerRowAmongTiesBehindANearerOne) {
  // The nearest row comes last; of the five that tie for the other two places, rows 0 and 2 are lower.
  const Tensor bank = doubles({{1, 1}, {0, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 0}});
  EXPECT_TRUE(votes_for(3, bank, {3, 0, 3, 4, 4, 4, 8}, doubles({{1, 0}}), {3, 0.07, Vote::majority}));
}

TEST(Knn, GivesEqualVotesToTheNearerNeighbour) {
  const Tensor bank = doubles({{0, 1}, {1, 2}, {2, 1}, {1, 0}});  // ever nearer to (1, 0)
  EXPECT_TRUE(votes_for(3, bank, {1, 1, 3, 3}, doubles({{1, 0}}), {4, 0.07, Vote::majority}));
  EXPECT_TRUE(votes_for(9, bank, {1, 1, 1, 9}, doubles({{1, 0}}), {2, 0.07, Vote::majority}));
}

TEST(Knn, WorksWithMoreNeighboursThanAClassHas) {
  const Tensor bank = doubles({{1, 0}, {9, 1}, {9, 2}, {0, 1}, {1, 9}});
  EXPECT_TRUE(votes_for(6, bank, {6, 6, 6, 4, 4}, doubles({{1, 0}}), {5, 0.07, Vote::majority}));
  EXPECT_TRUE(votes_for(6, bank, {6, 6, 6, 4, 4}, doubles({{1, 0}}), {5}));
}

TEST(Knn, NeverElectsAClassWithoutVotes) {
  // All similarities are negative and the farther weights underflow: classes 0, 1, ... still have nothing.
  const Tensor bank = doubles({{-1, 0.1}, {-1, 0.2}, {-1, 5}});
  for (int64_t k : {1, 2, 3}) EXPECT_TRUE(votes_for(8, bank, {9, 9, 8}, doubles({{1, 0}}), {k, 1e-4})) << k;
}

TEST(Knn, WeighsVotesByExpOfSimilarityOverTemperature) {
  // Cosines 1, 0.8, 0.8: two votes of exp(0.8/T) against one of exp(1/T) turn over at T = 0.2 / log 2 =
  // 0.2885.
  const Tensor bank = doubles({{4, 3}, {4, -3}, {1, 0}}), query = doubles({{1, 0}});
  EXPECT_TRUE(votes_for(5, bank, {2, 2, 5}, query, {3, 0.288}));
  EXPECT_TRUE(votes_for(2, bank, {2, 2, 5}, query, {3, 0.289}));
  EXPECT_TRUE(votes_for(2, bank, {2, 2, 5}, query, {3, 0.01, Vote::majority}));
}

TEST(Knn, StaysFiniteAtLowTemperatures) {
  const Tensor bank = doubles(
      {{3, 4}, {4, 3}, {99, 1}});  // exp(0.99 / 1e-4) overflows, and so does the class that should lose
  EXPECT_TRUE(votes_for(7, bank, {1, 1, 7}, doubles({{1, 0}}), {3, 1e-4}));
}

TEST(Knn, GivesZeroRowsNoSimilarity) {
  const Tensor bank = doubles({{0, 0}, {1, -2}, {1, 3}});
  EXPECT_TRUE(votes_for(4, bank, {4, 1, 2}, doubles({{-1, 0}}), {1}));  // 0 is above two negative cosines
  EXPECT_TRUE(votes_for(4, bank, {4, 1, 2}, doubles({{0, 0}}), {1}));   // all tie
}

TEST(Knn, DoesNotDependOnTheChunkSize) {
  torch::manual_seed(4);
  const Tensor half = torch::randn({301, 5}),
               bank = torch::cat({half, half, half.flip(0)});  // every similarity three times
  const Tensor labels = torch::randint(3, {903}), queries = torch::randn({101, 5}),
               query_labels = torch::randint(3, {101});
  const double whole = knn_accuracy(bank, labels, queries, query_labels, 3, {20}, *World::single());
  EXPECT_GT(whole, 0.1);
  EXPECT_LT(whole, 0.9);
  for (int64_t chunk_bytes : {500, 7777, 100000}) {
    EXPECT_EQ(knn_accuracy(bank, labels, queries, query_labels, 3, {20}, *World::single(), chunk_bytes),
              whole)
        << chunk_bytes;
  }
}

TEST(Knn, RejectsMoreNeighboursThanTheBankHasRows) {
  const Tensor bank = doubles({{1, 0}, {0, 1}});
  EXPECT_EQ(message_of(
                [&] {
                  votes_for(0, bank, {0, 1}, doubles({{1, 0}}), {3});
                },
                Exit::usage),
            "evaluate.neighbours = 3, allowed: 1 to 2, the samples with a label in the train split.");
}

TEST(Knn, RejectsWhatIsNoSetOfEmbeddings) {
  const Tensor bank = doubles({{1, 0}, {0, 1}, {1, NAN}, {INFINITY, 0}}), fine = doubles({{1, 0}});
  EXPECT_EQ(message_of(
                [&] {
                  votes_for(0, bank, {0, 1, 0, 1}, fine, {1});
                },
                Exit::non_finite),
            "kNN bank: 2 of 4 rows hold nan or inf, the first is row 2.");
  EXPECT_EQ(message_of([&] { votes_for(0, fine, {10}, fine, {1}); }, Exit::data),
            "kNN bank: labels from 10 to 10, allowed: 0 to 9.");
  EXPECT_EQ(message_of(
                [&] {
                  votes_for(0, fine, {1, 1}, fine, {1});
                },
                Exit::failure),
            "kNN bank: 2 labels for 1 rows.");
  EXPECT_EQ(message_of(
                [&] {
                  votes_for(0, fine, {1}, doubles({{1, 0, 0}}), {1});
                },
                Exit::failure),
            "kNN: queries are [1, 3] but the bank is [1, 2]; last sizes must agree.");
}

}  // namespace
}  // namespace foil
