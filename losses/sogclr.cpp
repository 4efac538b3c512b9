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
// Two modalities (the paper's bimodal objective): with candidates = "other_view" an anchor meets the N - 1
// rows of other samples in the other view alone, and each direction has a u of its own (log_u_1_2: anchors of
// view 1). With surrogate = "difference" s is less that of the positive, in the exponential and in L, and
// neither L nor `objective` has a term of the positive. iSogCLR's code does both and counts the positive as a
// negative (positive_among_negatives, first_visit = "none"); LibAUC's does both and adds over the negatives
// in place of a mean: N - 1 times L.
//
//   [[loss]]
//   name = "sogclr"
//   temperature = 0.1
//   estimate_momentum = 0.1
#include "estimates.h"

#include <foil/plugin.h>

namespace {

using estimates::Candidates, estimates::Directions, estimates::FirstVisit;
using foil::LossInput;
using foil::Tensor;

class SogCLR final : public foil::Loss {
 public:
  enum class Schedule { constant, cosine };
  enum class History { mean, sum };
  enum class Surrogate { exponential, difference };
  struct Options {
    double temperature = 0.1;
    double estimate_momentum = 0.1;
    Schedule momentum_schedule = Schedule::constant;
    int64_t momentum_epochs = 10;
    Directions directions = Directions::mean;
    FirstVisit first_visit = FirstVisit::sample;
    double smallest_estimate = 0;
    History history = History::mean;
    Candidates candidates = Candidates::both_views;
    Surrogate surrogate = Surrogate::exponential;
    bool positive_among_negatives = false;
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
      f.choice("candidates", candidates,
               {{"both_views", Candidates::both_views}, {"other_view", Candidates::other_view}},
               "which rows an anchor meets; other_view for two modalities");
      f.choice("surrogate", surrogate,
               {{"exponential", Surrogate::exponential}, {"difference", Surrogate::difference}},
               "what of a negative goes into the exponential: its cosine, or that less the positive's");
      // What reproduces published code:
      f.choice("first_visit", first_visit,
               {{"sample", FirstVisit::sample}, {"batch", FirstVisit::batch}, {"none", FirstVisit::none}},
               "what takes its first estimate whole: every new sample, a batch of new samples only, nothing");
      f.number("smallest_estimate", smallest_estimate, "lower bound of u in the weights", foil::at_least(0));
      f.choice("history", history, {{"mean", History::mean}, {"sum", History::sum}},
               "what is kept of both views; sum reproduces iSogCLR's repository");
      f.flag("positive_among_negatives", positive_among_negatives, "as iSogCLR's code of two modalities");
      f.renamed("update_rate", "estimate_momentum (1 - update_rate)");
      f.renamed("rate_schedule", "momentum_schedule");
      f.renamed("rate_epochs", "momentum_epochs");
    }
  };
  explicit SogCLR(Options options) : options_(options) {}

  foil::Needs needs() const override { return {.index = true}; }

  void setup(const foil::Sizes& sizes) override {
    for (const std::string& ending : estimates::endings(options_.candidates))
      log_u_.push_back(register_buffer("log_u" + ending, foil::unseen_logs(sizes.dataset_size)));
  }

  Tensor forward(const LossInput& input) override {
    const Tensor positive = (input.z[0] * input.z[1]).sum(1);  // [B]
    const auto met = estimates::rows(input, options_.candidates, options_.positive_among_negatives);
    const bool difference = options_.surrogate == Surrogate::difference;

    std::vector<Tensor> terms, moved;  // by view, [B]
    for (size_t v = 0; v < 2; ++v) {
      const estimates::Rows& rows = met[v];
      const Tensor before =
          foil::read_logs(log_u_[v % log_u_.size()], input.index, positive.scalar_type());  // log u: [B]
      const Tensor cosine = torch::matmul(input.z[v], rows.data.t());                       // [B, C]
      const Tensor s = difference ? cosine - positive.unsqueeze(1) : cosine;                // [B, C]
      const estimates::Estimate u = estimates::estimate(
          s.detach() / options_.temperature, rows, before,
          estimates::rates(input, before, momentum(input), options_.first_visit), options_.smallest_estimate);
      // The cosines less the positive's: no cancellation where pairs are aligned. The weights' mean is
      // g / u_v.
      terms.push_back(difference ? (u.weights * s).sum(1) / rows.count()
                                 : (u.weights * (s - positive.unsqueeze(1))).sum(1) / rows.count() +
                                       u.excess() * positive);
      moved.push_back(u.moved);
    }
    keep_state(input, moved);
    const Tensor objective = options_.temperature * torch::stack(moved);  // [2, B]
    input.report("objective",
                 input.mean(difference ? objective : objective - positive.detach(), objective.isfinite()));
    const Tensor sum = terms[0] + terms[1];
    return input.mean(options_.directions == Directions::mean ? sum / 2 : sum);
  }

  void after_step(const LossInput& input) override {
    if (estimates::count_others(input, options_.candidates, options_.positive_among_negatives) == 0) return;
    const Tensor index = input.gather(input.index);  // [N]
    const std::vector<std::string> endings = estimates::endings(options_.candidates);
    for (size_t i = 0; i < endings.size(); ++i)
      foil::write_logs(log_u_[i], index, input.gather(input.kept("log_u" + endings[i])));
  }

 private:
  double momentum(const LossInput& input) const {
    if (options_.momentum_schedule == Schedule::constant) return options_.estimate_momentum;
    return estimates::raised_momentum(options_.estimate_momentum, input.epoch, options_.momentum_epochs);
  }

  // What after_step writes, from log u_v of both views.
  void keep_state(const LossInput& input, const std::vector<Tensor>& u) const {
    if (options_.candidates == Candidates::both_views) {
      input.keep("log_u",
                 torch::logaddexp(u[0], u[1]) - (options_.history == History::mean ? std::log(2.0) : 0.0));
      return;
    }
    const std::vector<std::string> endings = estimates::endings(options_.candidates);
    for (size_t v = 0; v < 2; ++v) input.keep("log_u" + endings[v], u[v]);
  }

  Options options_;
  std::vector<Tensor> log_u_;  // [data set]: one, or one of each direction
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<SogCLR>(
      "sogclr", {.wider = {{"precision", 4,
                            "the value is a small difference of cosines, weighted by exp(s / 0.001)"}}});
}
