// SPDX-License-Identifier: BSD-3-Clause
// iSogCLR: SogCLR with a temperature of each sample's own, learned by distributionally robust optimisation.
// Qiu et al., "Not all semantics are created equal: contrastive self-supervised learning with automatic
// temperature individualization", ICML 2023, equation (6) and algorithm 1.
//
//   minimised over the t_i in [smallest_temperature, largest_temperature]:
//            mean over i of t_i log mean over c of exp(h_ic/t_i) + t_i robustness
//   h_ic   = the cosine of anchor and negative (surrogate = "exponential"),
//            or that less the positive's ("difference"),
//            or max(0, its excess over the positive's + margin)^2 ("squared_hinge")
//   g_v(i) = mean of exp(h_ic/t_i) over the 2N - 2 rows c of other samples
//   u_v(i) = estimate_momentum u[i] + (1 - estimate_momentum) g_v(i)
//   w_ic   = sg[exp(h_ic/t_i) / u_v(i)]
//   L      = mean over i and v of mean over c of w_ic h_ic (less the positive's cosine)
//   G(i)   = mean over v of log u_v(i) + robustness - mean over c of w_ic h_ic/t_i, clipped
//   after the step:
//   u[i]   = mean over v of u_v(i)
//   m[i]   = gradient_momentum m[i] + (1 - gradient_momentum) G(i)
//   t_i    = t_i - learning rate m[i]
//
// z is unit norm, sg is a constant; L's value is a surrogate whose gradient is the estimate. The momenta are
// 1 less the paper's gamma and beta. State is kept per sample of the training set, u as its log (the lowest
// float = never seen); L uses the temperatures before the step. A sample twice in a batch leaves its last
// row; a batch of one sample leaves the state alone. `temperature` (its mean over the batch),
// `temperature_gradient` and `temperature_learning_rate` are reported.
//
// The published codes differ: all add L over both views (directions = "sum"). iSogCLR's takes g itself as u
// in epoch 0 only (first_visit = "epoch_zero"); LibAUC's when the whole batch is new ("batch"), clips nothing
// (gradient_clip = 0), bounds u in the weights (smallest_estimate = 1e-8) and may raise the momentum from 0
// (momentum_schedule = "cosine"). iSogCLR's squared hinge never takes g itself ("none"), counts the positive
// as a negative (positive_among_negatives) and divides by the negative's temperature (temperature_of =
// "negative"); its exponential schedule begins above the learning rate ("exponential_from_epoch_one").
//
// Two modalities: with candidates = "other_view" an anchor meets the N - 1 rows of other samples in the other
// view alone, and each direction has a state and reports of its own (temperature_1_2: anchors of view 1). The
// published codes of two modalities do so with surrogate = "difference": iSogCLR's counts the positive as a
// negative (positive_among_negatives, first_visit = "none"); LibAUC's adds over the negatives in place of a
// mean: N - 1 times L.
//
//   [[loss]]
//   name = "isogclr"
//   robustness = 0.4
#include "estimates.h"

#include <foil/plugin.h>

namespace {

using estimates::Candidates, estimates::Directions, estimates::FirstVisit;
using foil::LossInput;
using foil::Tensor;

class ISogCLR final : public foil::Loss {
 public:
  enum class Schedule { constant, cosine, exponential, exponential_from_epoch_one };
  enum class Surrogate { exponential, difference, squared_hinge };
  enum class TemperatureOf { anchor, negative };
  struct Options {
    double temperature = 0.1;
    double smallest_temperature = 0.05;
    double largest_temperature = 1;
    double robustness = 0.4;
    double estimate_momentum = 0.2;
    Schedule momentum_schedule = Schedule::constant;
    int64_t momentum_epochs = 10;
    double gradient_momentum = 0.5;
    double gradient_clip = 3;
    double temperature_learning_rate = 0.03;
    Schedule temperature_schedule = Schedule::constant;
    double smallest_learning_rate = 1e-4;
    int64_t schedule_epochs = 100;
    double schedule_decay = 0.8;
    Surrogate surrogate = Surrogate::exponential;
    double margin = 0.8;
    Directions directions = Directions::mean;
    FirstVisit first_visit = FirstVisit::sample;
    double smallest_estimate = 0;
    TemperatureOf temperature_of = TemperatureOf::anchor;
    bool positive_among_negatives = false;
    Candidates candidates = Candidates::both_views;
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "of every sample at the start", foil::above(0));
      f.number("smallest_temperature", smallest_temperature, "lower bound of the temperatures",
               foil::above(0));
      f.number("largest_temperature", largest_temperature, "upper bound of the temperatures", foil::above(0));
      f.number("robustness", robustness, "larger = cooler samples (rho)", foil::at_least(0));
      f.number("estimate_momentum", estimate_momentum, "share of u that stays in a step (1 - gamma)",
               foil::from_below(0, 1));
      f.choice("momentum_schedule", momentum_schedule,
               {{"constant", Schedule::constant}, {"cosine", Schedule::cosine}},
               "cosine goes from 0 to estimate_momentum");
      f.integer("momentum_epochs", momentum_epochs, "epochs that the cosine takes", foil::at_least(1));
      f.number("gradient_momentum", gradient_momentum,
               "share of a temperature's averaged gradient that stays in a step (1 - beta)",
               foil::from_below(0, 1));
      f.number("gradient_clip", gradient_clip, "bound of a temperature's gradient; 0 = none",
               foil::at_least(0));
      f.number("temperature_learning_rate", temperature_learning_rate, "step of the temperatures (eta)",
               foil::at_least(0));
      f.choice("temperature_schedule", temperature_schedule,
               {{"constant", Schedule::constant},
                {"cosine", Schedule::cosine},
                {"exponential", Schedule::exponential},
                {"exponential_from_epoch_one", Schedule::exponential_from_epoch_one}},
               "of the step of the temperatures; exponential_from_epoch_one as published");
      f.number("smallest_learning_rate", smallest_learning_rate, "where the schedule of the step ends",
               foil::at_least(0));
      f.integer("schedule_epochs", schedule_epochs, "epochs that the cosine takes", foil::at_least(1));
      f.number("schedule_decay", schedule_decay, "factor of the exponential schedule each epoch",
               foil::above_up_to(0, 1));
      f.choice("surrogate", surrogate,
               {{"exponential", Surrogate::exponential},
                {"difference", Surrogate::difference},
                {"squared_hinge", Surrogate::squared_hinge}},
               "what of a negative goes into the exponential: its cosine, that less the positive's, or the "
               "hinge");
      f.number("margin", margin, "of the squared hinge", foil::at_least(0));
      f.choice("directions", directions, {{"mean", Directions::mean}, {"sum", Directions::sum}},
               "how the two views are joined; sum as published");
      f.choice("candidates", candidates,
               {{"both_views", Candidates::both_views}, {"other_view", Candidates::other_view}},
               "which rows an anchor meets; other_view for two modalities");
      // What reproduces published code:
      f.choice("first_visit", first_visit,
               {{"sample", FirstVisit::sample},
                {"epoch_zero", FirstVisit::epoch_zero},
                {"batch", FirstVisit::batch},
                {"none", FirstVisit::none}},
               "what takes its first estimate whole: every new sample, epoch 0, a batch of new samples only, "
               "nothing");
      f.number("smallest_estimate", smallest_estimate, "lower bound of u in the weights", foil::at_least(0));
      f.choice("temperature_of", temperature_of,
               {{"anchor", TemperatureOf::anchor}, {"negative", TemperatureOf::negative}},
               "negative reproduces the published squared hinge");
      f.flag("positive_among_negatives", positive_among_negatives,
             "as the published squared hinge and code of two modalities");
      f.renamed("update_rate", "estimate_momentum (1 - update_rate)");
      f.renamed("gradient_rate", "gradient_momentum (1 - gradient_rate)");
      f.renamed("rate_schedule", "momentum_schedule");
      f.renamed("rate_epochs", "momentum_epochs");
    }
  };
  explicit ISogCLR(Options options) : options_(options) {
    if (options_.smallest_temperature > options_.largest_temperature) {
      std::ostringstream most;
      most << "at most largest_temperature = " << options_.largest_temperature;
      foil::refuse("smallest_temperature", options_.smallest_temperature, most.str());
    }
  }

  foil::Needs needs() const override { return {.index = true}; }

  void setup(const foil::Sizes& sizes) override {
    const auto every = [&](double value) { return torch::full({sizes.dataset_size}, value, torch::kDouble); };
    for (const std::string& ending : estimates::endings(options_.candidates))
      states_.push_back({ending, register_buffer("log_u" + ending, foil::unseen_logs(sizes.dataset_size)),
                         register_buffer("temperature" + ending, every(options_.temperature)),
                         register_buffer("temperature_momentum" + ending, every(0))});
  }

  Tensor forward(const LossInput& input) override {
    const Tensor positive = (input.z[0] * input.z[1]).sum(1, true);  // [B, 1]
    const auto met = estimates::rows(input, options_.candidates, options_.positive_among_negatives);

    std::vector<Tensor> terms, moved, gradients;  // by view, [B]
    for (size_t v = 0; v < 2; ++v) {
      const State& state = states_[v % states_.size()];
      const estimates::Rows& rows = met[v];
      const Tensor before = foil::read_logs(state.log_u, input.index, positive.scalar_type());  // [B]
      const Tensor t = local(state.temperature, input).to(positive.dtype());                    // [B]
      const Tensor h = exponent(torch::matmul(input.z[v], rows.data.t()), positive);            // [B, C]
      const Tensor scaled = h.detach() / divisors(input, rows, t);                              // [B, C]
      const estimates::Estimate u = estimates::estimate(
          scaled, rows, before, estimates::rates(input, before, momentum(input), options_.first_visit),
          options_.smallest_estimate);
      const Tensor w = u.weights / rows.count();
      terms.push_back(weighted(w, h, positive, u));
      moved.push_back(u.moved);
      gradients.push_back(u.moved + options_.robustness - (w * scaled).sum(1));
    }
    input.report("temperature_learning_rate",
                 torch::full({}, learning_rate(input.epoch), positive.options()));
    if (options_.candidates == Candidates::both_views) {
      keep_state(input, states_[0], torch::logaddexp(moved[0], moved[1]) - std::log(2.0),
                 (gradients[0] + gradients[1]) / 2);
    } else {
      for (size_t v = 0; v < 2; ++v) keep_state(input, states_[v], moved[v], gradients[v]);
    }
    const Tensor sum = terms[0] + terms[1];
    return input.mean(options_.directions == Directions::mean ? sum / 2 : sum);
  }

  void after_step(const LossInput& input) override {
    if (others(input) == 0) return;
    const Tensor index = input.gather(input.index);  // [N]
    for (const State& state : states_) {
      const auto kept = [&](const char* name) { return input.gather(input.kept(name + state.ending)); };
      foil::write_logs(state.log_u, index, kept("log_u"));
      foil::scatter_rows(state.temperature, index, kept("temperature"), foil::Duplicates::last);
      foil::scatter_rows(state.momentum, index, kept("temperature_momentum"), foil::Duplicates::last);
    }
  }

 private:
  // Of both directions, or of one: [data set] each.
  struct State {
    std::string ending;
    Tensor log_u, temperature, momentum;
  };

  static Tensor local(const Tensor& state, const LossInput& input) {
    return state.index_select(0, input.index);
  }

  int64_t others(const LossInput& input) const {
    return estimates::count_others(input, options_.candidates, options_.positive_among_negatives);
  }

  // h from the cosines of anchors and candidates: [B, C].
  Tensor exponent(const Tensor& cosine, const Tensor& positive) const {
    if (options_.surrogate == Surrogate::exponential) return cosine;
    if (options_.surrogate == Surrogate::difference) return cosine - positive;
    return (cosine - positive + options_.margin).clamp_min(0).square();
  }

  // The temperatures that divide h: [B, 1] or [1, C].
  Tensor divisors(const LossInput& input, const estimates::Rows& rows, const Tensor& t) const {
    if (options_.temperature_of == TemperatureOf::anchor) return t.unsqueeze(1);
    return input.gather(t).repeat({rows.data.size(0) / input.global_batch()}).unsqueeze(0);
  }

  // The sum of w h, less the positive's cosine where h is one: [B].
  Tensor weighted(const Tensor& w, const Tensor& h, const Tensor& positive,
                  const estimates::Estimate& u) const {
    if (options_.surrogate != Surrogate::exponential) return (w * h).sum(1);
    // The cosines less the positive's: no cancellation where pairs are aligned. The weights' sum is g / u_v.
    return (w * (h - positive)).sum(1) + u.excess() * positive.squeeze(1);
  }

  double momentum(const LossInput& input) const {
    if (options_.momentum_schedule == Schedule::constant) return options_.estimate_momentum;
    return estimates::raised_momentum(options_.estimate_momentum, input.epoch, options_.momentum_epochs);
  }

  double learning_rate(int64_t epoch) const {
    const double least = options_.smallest_learning_rate, span = options_.temperature_learning_rate - least;
    const double at = static_cast<double>(epoch), epochs = static_cast<double>(options_.schedule_epochs);
    switch (options_.temperature_schedule) {
      case Schedule::constant:
        break;
      case Schedule::cosine:
        return least + span * std::cos(M_PI / 2 * std::min(1.0, at / epochs));
      case Schedule::exponential:
        return least + span * std::pow(options_.schedule_decay, at);
      case Schedule::exponential_from_epoch_one:
        return least + span * std::pow(options_.schedule_decay, at - 1);
    }
    return options_.temperature_learning_rate;
  }

  // What after_step writes of this rank's samples, from log u and the gradient of the temperatures.
  void keep_state(const LossInput& input, const State& state, const Tensor& log_u, Tensor gradient) const {
    const Tensor t = local(state.temperature, input).to(log_u.dtype());  // [B]
    input.report("temperature" + state.ending, input.mean(t));
    if (others(input) == 0) return;
    if (options_.gradient_clip > 0)
      gradient = gradient.clamp(-options_.gradient_clip, options_.gradient_clip);
    input.report("temperature_gradient" + state.ending, input.mean(gradient));
    const double stays = options_.gradient_momentum;
    const Tensor momentum = stays * local(state.momentum, input).to(t.dtype()) + (1 - stays) * gradient;
    const Tensor moved = t - learning_rate(input.epoch) * momentum;
    input.keep("log_u" + state.ending, log_u);
    input.keep("temperature_momentum" + state.ending, momentum);
    input.keep("temperature" + state.ending,
               moved.clamp(options_.smallest_temperature, options_.largest_temperature));
  }

  Options options_;
  std::vector<State> states_;  // one, or one of each direction
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<ISogCLR>(
      "isogclr", {.wider = {{"precision", 4,
                             "the value is a small difference of cosines, weighted by exp(s / 0.001)"}}});
}
