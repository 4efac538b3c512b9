// SPDX-License-Identifier: BSD-3-Clause
// The Jensen-Shannon estimate of mutual information from scores of pairs, plain, debiased and with hard
// negatives: what each anchor adds to it.
#pragma once

#include <foil/plugin.h>

#include <cmath>
#include <limits>
#include <numbers>

namespace foil {

struct JensenShannon {
  enum class Estimator { plain, debiased, hard, debiased_published, hard_published };
  Estimator estimator = Estimator::plain;
  double positive_prior = 0.1;
  double concentration = 1;
  void describe(Fields& f) {
    f.choice("estimator", estimator,
             {{"plain", Estimator::plain},
              {"debiased", Estimator::debiased},
              {"hard", Estimator::hard},
              {"debiased_published", Estimator::debiased_published},
              {"hard_published", Estimator::hard_published}},
             "how negatives count; hard debiases and weighs hard ones more; ..._published as PyGCL does it");
    f.number("positive_prior", positive_prior, "probability that a negative is a positive in truth (tau+)",
             from_below(0, 1));
    f.number("concentration", concentration, "how much harder negatives weigh more (beta)", at_least(0));
  }

  // Of each anchor, for scores d [A, M] and the pairs that are positive and negative, bool [A, M]: the sum
  // over its positives, how many they are, the sum over its negatives, how many: [A, 4]. `largest`: the
  // largest |d| of all negatives of the batch, a scalar; read by hard_published alone.
  Tensor sums(const Tensor& d, const Tensor& positive, const Tensor& negative, const Tensor& largest) const {
    const double log_2 = std::numbers::ln2;
    const Tensor nothing = torch::zeros({}, d.options());
    const Tensor up = foil::softplus(d) - log_2, down = log_2 - foil::softplus(-d);  // [A, M]
    const double share = positive_prior / (1 - positive_prior);
    Tensor gain = down, positives, negatives;
    if (estimator == Estimator::debiased || estimator == Estimator::hard) gain = down + share * up;
    if (is_published()) gain = down - share * foil::softplus(d);
    positives = torch::where(positive, gain, nothing).sum(1);
    const Tensor count = positive.sum(1).to(d.scalar_type()), others = negative.sum(1).to(d.scalar_type());
    if (is_published()) positives = positives - share * log_2 * (static_cast<double>(d.size(1)) - count);
    if (estimator == Estimator::hard_published)
      negatives = published_hard(torch::where(negative, d, nothing), largest);
    else if (estimator == Estimator::hard)
      negatives = others * (weights(d, negative) * torch::where(negative, up, nothing)).sum(1);
    else
      negatives = torch::where(negative, up, nothing).sum(1);
    if (estimator != Estimator::plain && estimator != Estimator::hard_published)
      negatives = negatives / (1 - positive_prior);
    return torch::stack({positives, count, negatives, others}, 1);
  }

  // The loss of such sums added up, `part` [4] of `all` [4] that count: the mean over negatives less that
  // over positives. Nothing anywhere gives 0.
  static Tensor value(const Tensor& part, const Tensor& all) {
    const Tensor count = all.detach().clamp_min(1);
    return part[2] / count[3] - part[0] / count[1];
  }

 private:
  bool is_published() const {
    return estimator == Estimator::debiased_published || estimator == Estimator::hard_published;
  }
  // softmax of concentration d over the negatives of each row, 0 for the rest: [A, M].
  Tensor weights(const Tensor& d, const Tensor& negative) const {
    const Tensor s = concentration * d, sum = masked_logsumexp(s, negative);
    const Tensor shift = sum.masked_fill(sum.isinf(), 0).unsqueeze(1);
    return (s.masked_fill(negative.logical_not(), -std::numeric_limits<double>::infinity()) - shift).exp();
  }
  // g: d where negative, else 0. PyGCL's weights fall with the score and are divided by their mean over the
  // whole row; all entries of the row add up.
  Tensor published_hard(const Tensor& g, const Tensor& largest) const {
    const Tensor weight = (-2 * concentration / largest.detach().clamp_min(1e-12) * g).softmax(1) *
                          static_cast<double>(g.size(1));
    return (weight * foil::softplus(g) / (1 - positive_prior) - std::numbers::ln2).sum(1);
  }
};

}  // namespace foil
