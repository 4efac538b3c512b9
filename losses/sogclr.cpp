// SPDX-License-Identifier: BSD-3-Clause
// SogCLR: the contrastive loss over the whole data set, by a moving average of each sample's denominator;
// small batches do no harm.
// Yuan et al., "Provable stochastic optimization for global contrastive learning", ICML 2022, algorithm 1.
//
//   s(a,c) = <z_a, z_c> / temperature
//   g_v(i) = mean of exp s(i,c) over the 2N - 2 rows c of other samples, anchor view v
//   u_v(i) = (1 - update_rate) u[i] + update_rate g_v(i)
//   L      = mean over i and v of temperature ( mean over c of sg[exp s(i,c) / u_v(i)] s(i,c) - s(i,p) )
//   after the step: u[i] = mean of u_1(i) and u_2(i)
//
// z is unit norm, sg is a constant. The value of L is a surrogate: its gradient is the estimate of the
// objective's, which is reported as `objective` (the mean over i and v of temperature log u_v(i) less the
// positive's cosine). u is kept per sample of the training set as its log (the lowest float = never seen), so
// that no temperature overflows. A sample twice in a batch leaves its last row. A batch of one sample teaches
// nothing about its denominator and leaves u alone. A sample's first visit takes g itself (first_visit =
// "sample"). The published codes differ: SogCLR and LibAUC do so only when the whole batch is new ("batch":
// new samples in a mixed batch get update_rate g, weights too large by 1/update_rate), LibAUC bounds u in the
// weights (smallest_estimate = 1e-8) and may anneal the rate from 1 (rate_schedule = "cosine"); iSogCLR's
// repository never does
// ("none") and keeps the sum of both views (history = "sum"), twice the average. All of them add L over both
// views (directions = "sum").
//
//   [[loss]]
//   name = "sogclr"
//   temperature = 0.1
//   update_rate = 0.9
#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

class SogCLR final : public foil::Loss {
 public:
  struct Options {
    double temperature = 0.1;
    double update_rate = 0.9;
    std::string rate_schedule = "constant";
    int64_t rate_epochs = 10;
    std::string first_visit = "sample";
    std::string history = "mean";
    double smallest_estimate = 0;
    std::string directions = "mean";
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "divides the similarities", foil::above(0));
      f.number("update_rate", update_rate, "weight of the new estimate in the moving average (gamma)",
               {0, 1, true, false});
      f.choice("rate_schedule", rate_schedule, {"constant", "cosine"}, "cosine goes from 1 to update_rate");
      f.integer("rate_epochs", rate_epochs, "epochs that the cosine takes", foil::at_least(1));
      f.choice("first_visit", first_visit, {"sample", "batch", "none"},
               "what takes its first estimate whole: every new sample, a batch of new samples only, nothing");
      f.choice("history", history, {"mean", "sum"},
               "what is kept of both views; sum reproduces iSogCLR's repository");
      f.number("smallest_estimate", smallest_estimate, "lower bound of u in the weights", foil::at_least(0));
      f.choice("directions", directions, {"mean", "sum"}, "how the two views are joined; sum as published");
    }
  };
  explicit SogCLR(Options options) : options_(options) {}

  foil::Needs needs() const override { return {.index = true}; }

  void setup(const foil::Sizes& sizes) override {
    log_u_ = register_buffer("log_u", torch::full({sizes.dataset_size}, unseen, torch::kDouble));
  }

  Tensor forward(const LossInput& input) override {
    const Tensor positive = (input.z[0] * input.z[1]).sum(1);                      // [B]
    const Tensor candidates = torch::cat({input.everyone(0), input.everyone(1)});  // [2N, D]
    const int64_t global = input.global_batch(), negatives = std::max<int64_t>(2 * global - 2, 1);
    const Tensor negative = input.other_samples(2);                                 // [B, 2N]
    const Tensor state = log_u_.index_select(0, input.index).to(positive.dtype());  // [B]
    const Tensor before = state.masked_fill(state <= unseen, lowest);               // log u: [B]
    const Tensor rate = rates(input, before);                                       // [B]

    std::vector<Tensor> terms, estimates;
    for (const Tensor& anchor : input.z) {
      const Tensor cosine = torch::matmul(anchor, candidates.t());                          // [B, 2N]
      const Tensor similarity = cosine.detach() / options_.temperature;                     // [B, 2N]
      const Tensor g = foil::masked_logsumexp(similarity, negative) - std::log(negatives);  // log g: [B]
      const Tensor moved = torch::logaddexp((1 - rate).log() + before, rate.log() + g);     // log u_v: [B]
      const Tensor u = torch::where(g.isneginf(), before, moved);
      const Tensor bound =
          options_.smallest_estimate > 0 ? u.clamp_min(std::log(options_.smallest_estimate)) : u;
      const Tensor weight =
          (similarity - bound.unsqueeze(1)).masked_fill(negative.logical_not(), lowest).exp();
      // The cosines less the positive's: no cancellation where pairs are aligned. The weights' mean is g /
      // u_v.
      const Tensor excess = torch::where(g.isneginf(), torch::full_like(g, -1), torch::expm1(g - bound));
      terms.push_back((weight * (cosine - positive.unsqueeze(1))).sum(1) / static_cast<double>(negatives) +
                      excess * positive);
      estimates.push_back(u);
    }
    const Tensor u = torch::stack(estimates);  // [2, B]
    const Tensor joined = torch::logaddexp(u[0], u[1]) - (options_.history == "mean" ? std::log(2.0) : 0.0);
    input.keep("index", input.gather(input.index));
    input.keep("log_u", input.gather(global > 1 ? joined : before).clamp_min(unseen));
    input.report("objective", input.mean(options_.temperature * u - positive.detach(), u.isfinite()));
    return input.mean(options_.directions == "mean" ? (terms[0] + terms[1]) / 2 : terms[0] + terms[1]);
  }

  void after_step(const LossInput& input) override {
    foil::scatter_rows(log_u_, input.kept("index"), input.kept("log_u"), foil::Duplicates::last);
  }

 private:
  static constexpr double lowest = -std::numeric_limits<double>::infinity();
  static constexpr double unseen =
      std::numeric_limits<float>::lowest();  // log u of a sample before its first visit

  // The weight of the new estimate for each local sample: [B].
  Tensor rates(const LossInput& input, const Tensor& before) const {
    double rate = options_.update_rate;
    if (options_.rate_schedule == "cosine") {
      const double part =
          std::min(1.0, static_cast<double>(input.epoch) / static_cast<double>(options_.rate_epochs));
      rate += (1 - rate) * 0.5 * (1 + std::cos(M_PI * part));
    }
    const Tensor first = before.isneginf();
    const Tensor constant = torch::full_like(before, rate);
    if (options_.first_visit == "sample") return constant.masked_fill(first, 1);
    if (options_.first_visit == "batch") return constant.masked_fill(input.gather(first).all(), 1);
    return constant;
  }

  Options options_;
  Tensor log_u_;  // [data set], log of u
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<SogCLR>(
      "sogclr", {.wider = {{"precision", 4,
                            "the value is a small difference of cosines, weighted by exp(s / 0.001)"}}});
}
