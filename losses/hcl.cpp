// SPDX-License-Identifier: BSD-3-Clause
// HCL: negatives weighted by their hardness, and debiased for the positives that hide among them.
// Robinson et al., "Contrastive learning with hard negative samples", ICLR 2021, section 3.
//
//   e_n = exp(<z_a, z_n>/temperature) of the M = 2N - 2 negatives,  e_p that of the positive
//   R   = M sum_n e_n^(1 + concentration) / sum_n e_n^concentration
//   G   = max( (R - positive_prior M e_p) / (1 - positive_prior),  M exp(-1/temperature) )
//   L   = mean over 2N anchors of -log [ e_p / (e_p + G) ]
//
// z is unit norm. concentration = 0 is the debiased loss of Chuang et al. (2020); with positive_prior = 0
// too, or estimator = "easy" (G = sum_n e_n), InfoNCE. As in the published code, gradient flows through the
// weights and is 0 through G where the floor holds. All is computed in the log domain: the published sums
// overflow float32 above (1 + concentration)/temperature = 88.
//
//   [[loss]]
//   name = "hcl"
//   temperature = 0.5
//   concentration = 0.5
#include <foil/contrast.h>
#include <foil/plugin.h>

namespace {

namespace contrast = foil::contrast;
using foil::LossInput;
using foil::Tensor;

class HCL final : public foil::Loss {
 public:
  enum class Estimator { hard, easy };
  struct Options {
    double temperature = 0.5;
    double positive_prior = 0.1;
    double concentration = 1;
    Estimator estimator = Estimator::hard;
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "divides the similarities", foil::above(0));
      f.number("positive_prior", positive_prior,
               "probability that a negative is of the anchor's class (tau+)", foil::from_below(0, 1));
      f.number("concentration", concentration, "how much harder negatives weigh more (beta)",
               foil::at_least(0));
      f.choice("estimator", estimator, {{"hard", Estimator::hard}, {"easy", Estimator::easy}},
               "hard weights and debiases; easy is the plain sum");
    }
  };
  explicit HCL(Options options) : options_(options) {}

  Tensor forward(const LossInput& input) override {
    const Tensor positive = (input.z[0] * input.z[1]).sum(1) / options_.temperature;  // [B]
    const Tensor both = positive.repeat({2});                                         // [2B], of every anchor
    const auto pairs = contrast::among(input, 1 / options_.temperature);
    // One sample has no negatives.
    if (options_.estimator == Estimator::easy || input.global_batch() == 1)
      return input.mean(contrast::mean_lse(pairs, both));
    const Tensor push = hard_negatives(pairs, both, 2 * static_cast<double>(input.global_batch() - 1));
    return input.mean(foil::softplus(push - both));
  }

 private:
  // log G: [2B].
  Tensor hard_negatives(const contrast::Pairs& pairs, const Tensor& positive, double count) const {
    using contrast::lse;
    const double beta = options_.concentration, log_count = std::log(count);
    const auto sums = contrast::reduce(pairs, {lse().times(1 + beta), lse().times(beta)});
    const Tensor weighted = sums[0] - sums[1] + log_count;  // log R: [2B]
    // log(R - P) = log R + log(1 - P/R), P = positive_prior M e_p; where P >= R the floor holds.
    const Tensor share = std::log(options_.positive_prior) + log_count + positive - weighted;  // log(P/R)
    const Tensor some = share < 0;
    const Tensor left = (-torch::expm1(share.masked_fill(some.logical_not(), -1))).log();  // log(1 - P/R)
    const Tensor debiased = weighted + left - std::log1p(-options_.positive_prior);
    const double floor = log_count - 1 / options_.temperature;
    return torch::where(some.logical_and(debiased > floor), debiased, torch::full_like(debiased, floor));
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<HCL>(
      "hcl",
      {.wider = {{"precision", 8, "the rounding of a similarity is multiplied by 1 + concentration"}}});
}
