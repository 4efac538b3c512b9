// SPDX-License-Identifier: BSD-3-Clause
// SogCLR: the contrastive loss over the whole data set, by a moving average of each sample's denominator;
// small batches do no harm.
// Yuan et al., "Provable stochastic optimization for global contrastive learning", ICML 2022, algorithm 1.
//
//   s(a,c) = <z_a, z_c> / temperature
//   g_v(i) = mean of exp s(i,c) over the 2N - 2 rows c of other samples, anchor view v
//   u_v(i) = estimate_momentum u[i] + (1 - estimate_momentum) g_v(i)
//   L      = mean over i and v of temperature ( mean over c of sg[exp s(i,c) / u_v(i)] s(i,c) - s(i,p) )
//   after the step: u[i] = mean of u_1(i) and u_2(i)
//
// z is unit norm, sg is a constant, estimate_momentum is 1 less the paper's gamma. The value of L is a
// surrogate: its gradient is the estimate of the objective's, which is reported as `objective` (the mean over
// i and v of temperature log u_v(i) less the positive's cosine). u is kept per sample of the training set as
// its log (the lowest float = never seen), so that no temperature overflows. A sample twice in a batch leaves
// its last row. A batch of one sample teaches nothing about its denominator and leaves u alone. A sample's
// first visit takes g itself (first_visit = "sample"). The published codes differ: SogCLR and LibAUC do so
// only when the whole batch is new ("batch": new samples in a mixed batch get 1 - estimate_momentum of g,
// weights too large by its inverse), LibAUC bounds u in the weights (smallest_estimate = 1e-8) and may raise
// the momentum from 0 (momentum_schedule = "cosine"); iSogCLR's repository never does ("none") and keeps the
// sum of both views (history = "sum"), twice the average. All of them add L over both views (directions =
// "sum").
//
//   [[loss]]
//   name = "sogclr"
//   temperature = 0.1
//   estimate_momentum = 0.1
#include "estimate_momentum.h"

#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

class SogCLR final : public foil::Loss {
 public:
  enum class Schedule { constant, cosine };
  enum class Directions { mean, sum };
  enum class FirstVisit { sample, batch, none };
  enum class History { mean, sum };
  struct Options {
    double temperature = 0.1;
    double estimate_momentum = 0.1;
    Schedule momentum_schedule = Schedule::constant;
    int64_t momentum_epochs = 10;
    Directions directions = Directions::mean;
    FirstVisit first_visit = FirstVisit::sample;
    double smallest_estimate = 0;
    History history = History::mean;
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "divides the similarities", foil::above(0));
      f.number("estimate_momentum", estimate_momentum, "share of u that stays in a step (1 - gamma)",
               foil::from_below(0, 1));
      f.choice("momentum_schedule", momentum_schedule,
               {{"constant", Schedule::constant}, {"cosine", Schedule::cosine}},
               "cosine goes from 0 to estimate_momentum");
      f.integer("momentum_epochs", momentum_epochs, "epochs that the cosine takes", foil::at_least(1));
      f.choice("directions", directions, {{"mean", Directions::mean}, {"sum", Directions::sum}},
               "how the two views are joined; sum as published");
      // What reproduces published code:
      f.choice("first_visit", first_visit,
               {{"sample", FirstVisit::sample}, {"batch", FirstVisit::batch}, {"none", FirstVisit::none}},
               "what takes its first estimate whole: every new sample, a batch of new samples only, nothing");
      f.number("smallest_estimate", smallest_estimate, "lower bound of u in the weights", foil::at_least(0));
      f.choice("history", history, {{"mean", History::mean}, {"sum", History::sum}},
               "what is kept of both views; sum reproduces iSogCLR's repository");
      f.renamed("update_rate", "estimate_momentum (1 - update_rate)");
      f.renamed("rate_schedule", "momentum_schedule");
      f.renamed("rate_epochs", "momentum_epochs");
    }
  };
  explicit SogCLR(Options options) : options_(options) {}

  foil::Needs needs() const override { return {.index = true}; }

  void setup(const foil::Sizes& sizes) override {
    log_u_ = register_buffer("log_u", foil::unseen_logs(sizes.dataset_size));
  }

  Tensor forward(const LossInput& input) override {
    const Tensor positive = (input.z[0] * input.z[1]).sum(1);  // [B]
    const Tensor candidates = input.everyone();                // [2N, D]
    const Tensor negative = input.other_samples(2);            // [B, 2N]
    const double negatives = static_cast<double>(std::max<int64_t>(2 * input.global_batch() - 2, 1));
    const Tensor before = foil::read_logs(log_u_, input.index, positive.scalar_type());  // log u: [B]
    const Tensor rate = rates(input, before);                                            // [B]

    std::vector<Tensor> terms, estimates;  // by view, [B]
    for (const Tensor& anchor : input.z) {
      const Tensor cosine = torch::matmul(anchor, candidates.t());                          // [B, 2N]
      const Tensor similarity = cosine.detach() / options_.temperature;                     // [B, 2N]
      const Tensor g = foil::masked_logsumexp(similarity, negative) - std::log(negatives);  // log g: [B]
      const Tensor u = foil::moved_logs(before, g, rate);                                   // log u_v: [B]
      const Tensor bound =
          options_.smallest_estimate > 0 ? u.clamp_min(std::log(options_.smallest_estimate)) : u;
      const Tensor weight =
          (similarity - bound.unsqueeze(1)).masked_fill(negative.logical_not(), lowest).exp();
      // The cosines less the positive's: no cancellation where pairs are aligned. The weights' mean is
      // g / u_v.
      const Tensor excess = torch::where(g.isneginf(), torch::full_like(g, -1), torch::expm1(g - bound));
      terms.push_back((weight * (cosine - positive.unsqueeze(1))).sum(1) / negatives + excess * positive);
      estimates.push_back(u);
    }
    const Tensor u = torch::stack(estimates);  // [2, B]
    input.keep("log_u",
               torch::logaddexp(u[0], u[1]) - (options_.history == History::mean ? std::log(2.0) : 0.0));
    input.report("objective", input.mean(options_.temperature * u - positive.detach(), u.isfinite()));
    const Tensor sum = terms[0] + terms[1];
    return input.mean(options_.directions == Directions::mean ? sum / 2 : sum);
  }

  void after_step(const LossInput& input) override {
    if (input.global_batch() > 1)
      foil::write_logs(log_u_, input.gather(input.index), input.gather(input.kept("log_u")));
  }

 private:
  static constexpr double lowest = -std::numeric_limits<double>::infinity();

  // The weight of the new estimate for each local sample: [B].
  Tensor rates(const LossInput& input, const Tensor& before) const {
    double momentum = options_.estimate_momentum;
    if (options_.momentum_schedule == Schedule::cosine)
      momentum = raised_momentum(momentum, input.epoch, options_.momentum_epochs);
    const Tensor rate = torch::full_like(before, 1 - momentum), first = before.isneginf();
    if (options_.first_visit == FirstVisit::sample) return rate.masked_fill(first, 1);
    if (options_.first_visit == FirstVisit::batch) return rate.masked_fill(input.gather(first).all(), 1);
    return rate;
  }

  Options options_;
  Tensor log_u_;  // [data set]
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<SogCLR>(
      "sogclr", {.wider = {{"precision", 4,
                            "the value is a small difference of cosines, weighted by exp(s / 0.001)"}}});
}
