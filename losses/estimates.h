// SPDX-License-Identifier: BSD-3-Clause
// What SogCLR and iSogCLR share: the rows that an anchor meets, how the estimate of its denominator moves,
// and the weights that come of it. Sizes: B local samples, N of the global batch, C rows met.
#pragma once

#include <foil/plugin.h>

namespace estimates {

using foil::LossInput;
using foil::Tensor;

// An anchor meets the rows of both views, with one state of each sample for both directions; or the other
// view's alone, as where views are modalities, with a state of each direction.
enum class Candidates { both_views, other_view };
enum class FirstVisit { sample, epoch_zero, batch, none };
enum class Directions { mean, sum };

// What the names of the states end in: one of both directions, or anchors of view 1 and of view 2.
inline std::vector<std::string> endings(Candidates candidates) {
  if (candidates == Candidates::both_views) return {""};
  return {"_1_2", "_2_1"};
}

// The rows that anchors of one view meet.
struct Rows {
  Tensor data;         // [C, D], C = 2N or N
  Tensor negative;     // bool [B, C]
  int64_t others = 0;  // negatives of each anchor; 0 for the only sample of a batch

  double count() const { return static_cast<double>(std::max<int64_t>(others, 1)); }
};

inline int64_t count_others(const LossInput& input, Candidates candidates, bool positive_among_negatives) {
  const int64_t n = input.global_batch(), positive = positive_among_negatives ? 1 : 0;
  return (candidates == Candidates::both_views ? 2 * n - 2 : n - 1) + positive;
}

// Of the anchors of view 1 and of view 2.
inline std::array<Rows, 2> rows(const LossInput& input, Candidates candidates,
                                bool positive_among_negatives) {
  const int64_t others = count_others(input, candidates, positive_among_negatives);
  const bool both = candidates == Candidates::both_views;
  const Tensor other = input.other_samples(), everyone = torch::ones_like(other);  // [B, N]
  const Tensor all = both ? input.everyone() : Tensor();
  std::array<Rows, 2> rows;
  for (size_t v = 0; v < 2; ++v) {
    const Tensor partners = positive_among_negatives ? everyone : other;
    Tensor negative = partners;
    if (both) negative = v == 0 ? torch::cat({other, partners}, 1) : torch::cat({partners, other}, 1);
    rows[v] = {both ? all : input.everyone(v == 0 ? 1 : 0), negative, others};
  }
  return rows;
}

// From 0 to `momentum` by a cosine in `epochs` epochs.
inline double raised_momentum(double momentum, int64_t epoch, int64_t epochs) {
  const double part = std::min(1.0, static_cast<double>(epoch) / static_cast<double>(epochs));
  return momentum * (0.5 * (1 - std::cos(M_PI * part)));
}

// The weight of the new estimate for each local sample: [B]. `before`: the log of the old one.
inline Tensor rates(const LossInput& input, const Tensor& before, double momentum, FirstVisit first_visit) {
  const Tensor rate = torch::full_like(before, 1 - momentum), first = before.isneginf();
  if (first_visit == FirstVisit::sample) return rate.masked_fill(first, 1);
  if (first_visit == FirstVisit::batch) return rate.masked_fill(input.gather(first).all(), 1);
  const bool whole = first_visit == FirstVisit::epoch_zero && input.epoch == 0;
  return whole ? torch::ones_like(rate) : rate;
}

struct Estimate {
  Tensor now, moved;  // logs of the mean exponential of this batch, and of the average that it moves: [B]
  Tensor divisor;     // log of what divides the weights: [B]
  Tensor weights;     // exp(scaled) / divisor, 0 at what is no negative: [B, C]

  // The mean of the weights less 1: exact where both averages are alike.
  Tensor excess() const {
    return torch::where(now.isneginf(), torch::full_like(now, -1), torch::expm1(now - divisor));
  }
};

// `scaled` [B, C]: what goes into the exponential, without gradient. `smallest`: lower bound of the divisor,
// or 0.
inline Estimate estimate(const Tensor& scaled, const Rows& rows, const Tensor& before, const Tensor& rate,
                         double smallest) {
  Estimate e;
  e.now = foil::masked_logsumexp(scaled, rows.negative) - std::log(rows.count());
  e.moved = foil::moved_logs(before, e.now, rate);
  e.divisor = smallest > 0 ? e.moved.clamp_min(std::log(smallest)) : e.moved;
  e.weights = (scaled - e.divisor.unsqueeze(1))
                  .masked_fill(rows.negative.logical_not(), -std::numeric_limits<double>::infinity())
                  .exp();
  return e;
}

}  // namespace estimates
