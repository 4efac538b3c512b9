// SPDX-License-Identifier: BSD-3-Clause
// Embeddings with many exact ties, and their similarities as whole numbers: the slow truth of retrieval and
// of ROC curves.
#pragma once

#include "evaluate/relevance.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>
#include <vector>

namespace foil::test {

struct RetrievalCase {
  Tensor queries, candidates;
  Relevance relevance;
};

// Rows of different lengths in `distinct` directions, the first all-zero; groups 0, ..., groups-1, the low
// ones larger, some of none, and query groups that no candidate has. Pairs are excluded at random, some
// twice.
inline RetrievalCase retrieval_case(uint64_t seed, int64_t queries, int64_t candidates, int64_t width,
                                    int64_t distinct, int64_t groups) {
  torch::manual_seed(seed);
  Tensor directions = torch::randn({distinct, width});
  directions[0] = 0;
  const auto rows = [&](int64_t count) {
    return directions.index_select(0, torch::randint(distinct, {count})) *
           torch::randint(1, 9, {count, 1}).to(torch::kFloat);
  };
  RetrievalCase made{rows(queries), rows(candidates), {}};
  const auto group = [&](int64_t count, int64_t more) {
    const Tensor uniform = torch::rand({count}, torch::kDouble);
    return (uniform * uniform * static_cast<double>(groups + more + 1)).floor().to(torch::kLong) - 1;
  };
  made.relevance = {group(queries, 3), group(candidates, 0), {}};
  made.relevance.candidate.masked_fill_(made.relevance.candidate < 0, -7);  // no group is not one group
  const int64_t excluded = queries * candidates / 10;
  const Tensor pairs =
      torch::stack({torch::randint(queries, {excluded}), torch::randint(candidates, {excluded})});
  made.relevance.excluded = torch::cat({pairs, pairs.slice(1, 0, excluded / 2)}, 1);
  return made;
}

// A pair that meets: its similarity in units of 2^-48, and whether the candidate is relevant.
struct Pair {
  int64_t similarity;
  bool relevant;
  bool operator==(const Pair&) const = default;
};

inline std::vector<std::vector<int64_t>> whole_numbers(const Tensor& x) {
  std::vector<std::vector<int64_t>> rows;
  for (int64_t i = 0; i < x.size(0); ++i) {
    double square = 0;
    for (int64_t j = 0; j < x.size(1); ++j) square += std::pow(x[i][j].item<double>(), 2);
    rows.emplace_back();
    for (int64_t j = 0; j < x.size(1); ++j) {
      const double unit = square > 0 ? x[i][j].item<double>() / std::sqrt(square) : 0;
      rows.back().push_back(std::llrint(unit * 0x1p24));
    }
  }
  return rows;
}

// The pairs of every query, the most similar first, of equal ones those that are not relevant.
inline std::vector<std::vector<Pair>> ranked_pairs(const RetrievalCase& c) {
  const auto query = whole_numbers(c.queries), candidate = whole_numbers(c.candidates);
  std::set<std::pair<int64_t, int64_t>> excluded;
  if (c.relevance.excluded.defined()) {
    for (int64_t e = 0; e < c.relevance.excluded.size(1); ++e)
      excluded.emplace(c.relevance.excluded[0][e].item<int64_t>(),
                       c.relevance.excluded[1][e].item<int64_t>());
  }
  const auto of_query = c.relevance.query.accessor<int64_t, 1>(),
             of_candidate = c.relevance.candidate.accessor<int64_t, 1>();
  std::vector<std::vector<Pair>> all(query.size());
  for (size_t q = 0; q < query.size(); ++q) {
    const auto row = static_cast<int64_t>(q);
    for (size_t n = 0; n < candidate.size(); ++n) {
      const auto column = static_cast<int64_t>(n);
      if (excluded.count({row, column})) continue;
      int64_t dot = 0;
      for (size_t f = 0; f < query[q].size(); ++f) dot += query[q][f] * candidate[n][f];
      all[q].push_back({dot, of_query[row] >= 0 && of_query[row] == of_candidate[column]});
    }
    std::sort(all[q].begin(), all[q].end(), [](const Pair& a, const Pair& b) {
      return a.similarity != b.similarity ? a.similarity > b.similarity : a.relevant < b.relevant;
    });
  }
  return all;
}

}  // namespace foil::test
