// SPDX-License-Identifier: BSD-3-Clause
// From counts of similarities to ranks, from ranks to the numbers of each query and their means.
#include "evaluate/retrieval.h"

#include "evaluate/checks.h"
#include "evaluate/measuring.h"
#include "evaluate/placing.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

namespace foil {
namespace {

constexpr int64_t kDepth = 10;  // of nDCG

struct Score {
  int64_t rank = 0;
  double average_precision = 0, ndcg = 0;
};

double discount(int64_t rank) { return 1 / std::log2(1 + static_cast<double>(rank)); }

Score score_of(const Placed& placed) {
  const size_t relevant = placed.similarity.size();
  Score score;
  double ideal = 0;
  size_t tied = 0;  // relevant candidates at least as similar as the j-th
  for (size_t j = 0; j < relevant; ++j) {
    while (tied < relevant && placed.similarity[tied] >= placed.similarity[j]) ++tied;
    const auto place = static_cast<int64_t>(j + 1);
    const int64_t rank = placed.at_least[j] - static_cast<int64_t>(tied) + place;
    if (j == 0) score.rank = rank;
    score.average_precision += static_cast<double>(place) / static_cast<double>(rank);
    if (rank <= kDepth) score.ndcg += discount(rank);
    if (place <= kDepth) ideal += discount(place);
  }
  if (relevant > 0) {
    score.average_precision /= static_cast<double>(relevant);
    score.ndcg /= ideal;
  }
  return score;
}

// The mean of value(q) over the queries with a relevant candidate, always added in their order.
template <class Value>
double mean(const Retrieval& found, Value value) {
  const int64_t* rank = found.rank.const_data_ptr<int64_t>();
  double sum = 0;
  for (int64_t q = 0; q < found.rank.size(0); ++q) {
    if (rank[q] > 0) sum += value(q);
  }
  return sum / static_cast<double>(found.answerable());
}

}  // namespace

int64_t Retrieval::answerable() const { return (rank > 0).sum().item<int64_t>(); }

double Retrieval::recall_at(int64_t k) const {
  const int64_t* of = rank.const_data_ptr<int64_t>();
  return mean(*this, [&](int64_t q) { return of[q] <= k ? 1.0 : 0.0; });
}

double Retrieval::mean_reciprocal_rank() const {
  const int64_t* of = rank.const_data_ptr<int64_t>();
  return mean(*this, [&](int64_t q) { return 1 / static_cast<double>(of[q]); });
}

double Retrieval::mean_average_precision() const {
  const double* of = average_precision.const_data_ptr<double>();
  return mean(*this, [&](int64_t q) { return of[q]; });
}

double Retrieval::mean_ndcg() const {
  const double* of = ndcg.const_data_ptr<double>();
  return mean(*this, [&](int64_t q) { return of[q]; });
}

double Retrieval::median_rank() const {
  const Tensor sorted = std::get<0>(rank.masked_select(rank > 0).to(torch::kDouble).sort());
  const int64_t count = sorted.size(0);
  return (sorted[(count - 1) / 2].item<double>() + sorted[count / 2].item<double>()) / 2;
}

Retrieval retrieve(const Tensor& queries, const Tensor& candidates, const Relevance& relevance, Ranks& ranks,
                   int64_t chunk_bytes) {
  torch::NoGradGuard no_grad;
  check_embeddings("retrieval, queries", queries);
  check_embeddings("retrieval, candidates", candidates);
  if (queries.size(1) != candidates.size(1)) {
    fail(Exit::failure, "retrieval: queries are ", queries.sizes(), " but candidates are ",
         candidates.sizes(), "; last sizes must agree.");
  }
  const int64_t count = queries.size(0);
  const RelevantRows relevant(relevance, count, candidates.size(0));
  const int64_t first = count * ranks.rank() / ranks.world_size(),
                last = count * (ranks.rank() + 1) / ranks.world_size();
  Tensor mine = torch::zeros({last - first, 4}, torch::kDouble);  // fp64 holds the ranks too: one exchange
  double* row = mine.mutable_data_ptr<double>();
  place(queries, candidates, relevant, first, last, chunk_bytes, [&](int64_t, const Placed& placed) {
    const Score score = score_of(placed);
    *row++ = static_cast<double>(score.rank);
    *row++ = static_cast<double>(placed.similarity.size());
    *row++ = score.average_precision;
    *row++ = score.ndcg;
  });
  const Tensor all = ranks.gather(mine.to(queries.device())).cpu().t().contiguous();  // [4, M]
  Retrieval found{all[0].to(torch::kLong), all[1].to(torch::kLong), all[2], all[3]};
  if (found.answerable() == 0)
    fail(Exit::data, "retrieval: none of the ", count, " queries has a relevant candidate.");
  return found;
}

std::string Search::name() const { return query + ">" + candidate + (by.empty() ? "" : " by " + by); }

std::string Search::id(const std::string& what, const Measuring& of) const {
  const std::string pair = query + ">" + candidate + (by.empty() ? "" : "-" + by);
  const int64_t rows = candidates.size(0);
  const std::string many =
      queries.size(0) == rows ? of.split : fmt::format("{}{}x", of.split, queries.size(0));
  return of.id(what + "/" + pair, many, rows);
}

void measure_retrieval(Measuring& of, const Search& search) {
  const Retrieval found = retrieve(search.queries, search.candidates, search.relevance, of.ranks);
  const std::string id = search.id("retrieval-cosine-ties-last", of);
  const nlohmann::json more = {{"queries", found.answerable()}, {"candidates", search.candidates.size(0)}};
  const auto add = [&](const std::string& what, Measure measure, double value) {
    measure.title = search.name() + " " + measure.title;
    of.add(search.name() + "." + what, std::move(measure), value, id, more);
  };
  const auto recall = [&](int64_t k) {
    const std::string name = "R@" + std::to_string(k);
    add(name, {name, "%", 1, Better::higher, /*headline=*/k == 1}, 100 * found.recall_at(k));
  };
  recall(1);
  add("MRR", {"MRR", "", 3, Better::higher, true}, found.mean_reciprocal_rank());
  recall(5);
  recall(10);
  add("nDCG@10", {"nDCG@10", "", 3, Better::higher}, found.mean_ndcg());
  add("mAP", {"mAP", "", 3, Better::higher}, found.mean_average_precision());
  add("median_rank", {"median rank", "", 1, Better::lower}, found.median_rank());
}

}  // namespace foil
