// SPDX-License-Identifier: BSD-3-Clause
// Steps of equal score from the highest down; of pairs, by the place of every similarity among those of the
// relevant pairs.
#include "evaluate/roc.h"

#include "evaluate/checks.h"
#include "evaluate/exact_cosine.h"
#include "evaluate/measuring.h"
#include "evaluate/placing.h"
#include "evaluate/retrieval.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

namespace foil {
namespace {

// Adds up a curve from steps of equal score, the highest first.
class Steps {
 public:
  Steps(int64_t positives, int64_t negatives, int64_t points) : segments_(points - 1) {
    if (points < 2) fail(Exit::failure, "ROC: ", points, " points, allowed: 2 or more.");
    if (positives == 0 || negatives == 0) {
      fail(Exit::data, "ROC: ", positives, " positive and ", negatives,
           " negative scores, allowed: at least one of each.");
    }
    roc_.positives = positives;
    roc_.negatives = negatives;
    roc_.curve.push_back({0, 0});
  }

  void add(int64_t positives, int64_t negatives) {
    // Twice the pairs of a positive with these negatives below it: whole numbers.
    won_twice_ += static_cast<double>(negatives) * static_cast<double>(2 * positives_ + positives);
    positives_ += positives;
    negatives_ += negatives;
    const RocPoint here{static_cast<double>(negatives_) / static_cast<double>(roc_.negatives),
                        static_cast<double>(positives_) / static_cast<double>(roc_.positives)};
    // How far along the curve, in segments: the sum of both rates goes from 0 to 2.
    const double way = (here.false_positives + here.true_positives) / 2 * static_cast<double>(segments_);
    if (way < static_cast<double>(next_)) return;
    roc_.curve.push_back(here);
    next_ = static_cast<int64_t>(std::floor(way)) + 1;
  }

  Roc result() {
    roc_.auc = won_twice_ / 2 / (static_cast<double>(roc_.positives) * static_cast<double>(roc_.negatives));
    return std::move(roc_);
  }

 private:
  Roc roc_;
  int64_t segments_, next_ = 1, positives_ = 0, negatives_ = 0;
  double won_twice_ = 0;
};

// The similarities of the relevant pairs of queries first, ..., last-1: fp64 [P] on their device.
Tensor relevant_similarities(const Tensor& queries, const Tensor& candidates, const RelevantRows& relevant,
                             int64_t first, int64_t last, int64_t chunk_bytes) {
  const int64_t block = std::max<int64_t>(1, chunk_bytes / 8 / queries.size(1));
  std::vector<Tensor> found{torch::empty({0}, candidates.options().dtype(torch::kDouble))};
  for (int64_t q = first; q < last; q += block) {
    const int64_t count = std::min(block, last - q);
    std::vector<int64_t> query, candidate;
    for (int64_t r = 0; r < count; ++r) {
      for (const int64_t row : relevant.of(q + r)) {
        query.push_back(r);
        candidate.push_back(row);
      }
    }
    found.push_back(exact_cosines_of_pairs(grid_rows(queries.narrow(0, q, count), chunk_bytes),
                                           torch::tensor(query, torch::kLong), candidates,
                                           torch::tensor(candidate, torch::kLong), chunk_bytes));
  }
  return torch::cat(found);
}

// How many pairs of queries first, ..., last-1 have a similarity in each bin: bin 2k+1 is values[k], bin 2k
// lies below it and above values[k-1]. int64 [2 U + 1]; excluded pairs are in bin 0.
Tensor pairs_by_bin(const Tensor& queries, const Tensor& candidates, const RelevantRows& relevant,
                    const Tensor& values, int64_t first, int64_t last, int64_t chunk_bytes) {
  const int64_t bins = 2 * values.size(0) + 1,
                block = std::max<int64_t>(1, chunk_bytes / 48 / candidates.size(0));
  Tensor total = torch::zeros({bins}, values.options().dtype(torch::kLong));
  for (int64_t q = first; q < last; q += block) {
    const Tensor rows = grid_rows(queries.narrow(0, q, std::min(block, last - q)), chunk_bytes);
    Tensor similarity = exact_cosines(rows, candidates, chunk_bytes);
    leave_out_excluded(similarity, q, relevant);
    Tensor bin = torch::searchsorted(values, similarity, /*out_int32=*/false, /*right=*/false);
    bin += torch::searchsorted(values, similarity, /*out_int32=*/false, /*right=*/true);
    total += bin.view(-1).bincount({}, bins);
  }
  return total;
}

}  // namespace

Roc roc_of(const Tensor& scores, const Tensor& positive, int64_t points) {
  if (scores.dim() != 1 || positive.scalar_type() != torch::kBool || positive.sizes() != scores.sizes()) {
    fail(Exit::failure, "ROC: scores are ", scores.sizes(), " and labels ", positive.dtype().name(), " ",
         positive.sizes(), ", allowed: bool labels [N] of scores [N].");
  }
  const Tensor all = scores.detach().cpu().to(torch::kDouble);
  const Tensor bad = torch::isfinite(all).logical_not().nonzero();
  if (bad.size(0) > 0) {
    fail(Exit::non_finite, "ROC: ", bad.size(0), " of ", all.size(0),
         " scores are nan or inf, the first is score ", bad[0][0].item<int64_t>(), ".");
  }
  const auto [sorted, order] = all.sort(0, /*descending=*/true);
  const Tensor label = positive.cpu().index_select(0, order);
  const double* score = sorted.const_data_ptr<double>();
  const bool* is_positive = label.const_data_ptr<bool>();
  const int64_t count = all.size(0), positives = label.sum().item<int64_t>();
  Steps steps(positives, count - positives, points);
  for (int64_t i = 0; i < count;) {
    int64_t of_step[2] = {0, 0};
    const double here = score[i];
    for (; i < count && score[i] == here; ++i) ++of_step[is_positive[i]];
    steps.add(of_step[1], of_step[0]);
  }
  return steps.result();
}

Roc roc_of_pairs(const Tensor& queries, const Tensor& candidates, const Relevance& relevance, Ranks& ranks,
                 int64_t points, int64_t chunk_bytes) {
  torch::NoGradGuard no_grad;
  check_embeddings("ROC, queries", queries);
  check_embeddings("ROC, candidates", candidates);
  if (queries.size(1) != candidates.size(1)) {
    fail(Exit::failure, "ROC: queries are ", queries.sizes(), " but candidates are ", candidates.sizes(),
         "; last sizes must agree.");
  }
  const int64_t count = queries.size(0);
  const RelevantRows relevant(relevance, count, candidates.size(0));
  const int64_t first = count * ranks.rank() / ranks.world_size(),
                last = count * (ranks.rank() + 1) / ranks.world_size();
  const Tensor rows = grid_rows(candidates, chunk_bytes);
  const Tensor positive =
      ranks.gather(relevant_similarities(queries, rows, relevant, first, last, chunk_bytes));
  int64_t excluded = 0;
  for (int64_t q = 0; q < count; ++q) excluded += static_cast<int64_t>(relevant.excluded(q).size());
  const int64_t positives = positive.size(0);
  Steps steps(positives, count * candidates.size(0) - excluded - positives, points);

  const auto [values, inverse, counts] = at::_unique2(positive, /*sorted=*/true, false, /*counts=*/true);
  const Tensor pairs =
      ranks.sum(pairs_by_bin(queries, rows, relevant, values, first, last, chunk_bytes)).cpu();
  const Tensor at_value = counts.cpu();
  const int64_t* in_bin = pairs.const_data_ptr<int64_t>();
  const int64_t* of_value = at_value.const_data_ptr<int64_t>();
  for (int64_t k = at_value.size(0) - 1; k >= 0; --k) {
    steps.add(0, in_bin[2 * k + 2]);
    steps.add(of_value[k], in_bin[2 * k + 1] - of_value[k]);
  }
  steps.add(0, in_bin[0] - excluded);
  return steps.result();
}

void measure_roc(Measuring& of, const Search& search) {
  const Roc roc = roc_of_pairs(search.queries, search.candidates, search.relevance, of.ranks);
  nlohmann::json curve = nlohmann::json::array();
  for (const RocPoint& point : roc.curve) curve.push_back({point.false_positives, point.true_positives});
  of.add(search.name() + ".AUC", {search.name() + " AUC", "", 4, Better::higher}, roc.auc,
         search.id("auc-cosine-ties-half", of),
         {{"positives", roc.positives}, {"negatives", roc.negatives}, {"curve", std::move(curve)}});
}

}  // namespace foil
