// SPDX-License-Identifier: BSD-3-Clause
// iSogCLR: SogCLR with a temperature of each sample's own, learned by distributionally robust optimisation.
// Qiu et al., "Not all semantics are created equal: contrastive self-supervised learning with automatic
// temperature individualization", ICML 2023, equation (6) and algorithm 1.
//
//   minimised over the t_i in [smallest_temperature, largest_temperature]:
//            mean over i of t_i log mean over c of exp(h_ic/t_i) + t_i robustness
//   h_ic   = the cosine of anchor and negative (surrogate = "exponential"),
//            or max(0, its excess over the positive's + margin)^2 ("squared_hinge")
//   g_v(i) = mean of exp(h/t_i) over the 2N - 2 rows c of other samples
//   u_v(i) = (1 - update_rate) u[i] + update_rate g_v(i)
//   w_ic   = sg[exp(h_ic/t_i) / u_v(i)]
//   L      = mean over i and v of mean over c of w_ic h_ic (less the positive's cosine)
//   G(i)   = mean over v of log u_v(i) + robustness - mean over c of w_ic h_ic/t_i, clipped
//   after the step:
//   u[i]   = mean over v of u_v(i)
//   m[i]   = (1 - gradient_rate) m[i] + gradient_rate G(i)
//   t_i    = t_i - learning rate m[i]
//
// z is unit norm, sg is a constant; L's value is a surrogate whose gradient is the estimate. State is kept
// per sample of the training set, u as its log (the lowest float = never seen); L uses the temperatures
// before the step. A sample twice in a batch leaves its last row; a batch of one sample leaves the state
// alone. `temperature` (its mean over the batch), `temperature_gradient` and `temperature_learning_rate` are
// reported. The published codes differ: all add L over both views (directions = "sum"). iSogCLR's takes g
// itself as u in epoch 0 only (first_visit = "epoch_zero"); LibAUC's when the whole batch is new ("batch"),
// clips nothing (gradient_clip = 0), bounds u in the weights (smallest_estimate = 1e-8) and may anneal the
// rate from 1 (rate_schedule = "cosine"). iSogCLR's squared hinge never takes g itself ("none"), counts the
// positive as a negative (positive_among_negatives) and divides by the negative's temperature (temperature_of
// = "negative"); its exponential schedule begins above the learning rate ("exponential_from_epoch_one").
//
//   [[loss]]
//   name = "isogclr"
//   robustness = 0.4
#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

class ISogCLR final : public foil::Loss {
 public:
  struct Options {
    double temperature = 0.1, smallest_temperature = 0.05, largest_temperature = 1;
    double robustness = 0.4;
    double update_rate = 0.8, gradient_rate = 0.5, gradient_clip = 3;
    double temperature_learning_rate = 0.03, smallest_learning_rate = 1e-4;
    std::string temperature_schedule = "constant";
    int64_t schedule_epochs = 100;
    double schedule_decay = 0.8;
    std::string rate_schedule = "constant";
    int64_t rate_epochs = 10;
    std::string first_visit = "sample";
    double smallest_estimate = 0;
    std::string surrogate = "exponential";
    double margin = 0.8;
    std::string temperature_of = "anchor";
    bool positive_among_negatives = false;
    std::string directions = "mean";
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "of every sample at the start", foil::above(0));
      f.number("smallest_temperature", smallest_temperature, "lower bound of the temperatures",
               foil::above(0));
      f.number("largest_temperature", largest_temperature, "upper bound of the temperatures", foil::above(0));
      f.number("robustness", robustness, "larger = cooler samples (rho)", foil::at_least(0));
      f.number("update_rate", update_rate, "weight of the new estimate in the moving average (gamma)",
               {0, 1, true, false});
      f.number("gradient_rate", gradient_rate, "weight of the new temperature gradient in its average (beta)",
               {0, 1, true, false});
      f.number("gradient_clip", gradient_clip, "bound of a temperature's gradient; 0 = none",
               foil::at_least(0));
      f.number("temperature_learning_rate", temperature_learning_rate, "step of the temperatures (eta)",
               foil::at_least(0));
      f.number("smallest_learning_rate", smallest_learning_rate, "where the schedule of the step ends",
               foil::at_least(0));
      f.choice("temperature_schedule", temperature_schedule,
               {"constant", "cosine", "exponential", "exponential_from_epoch_one"},
               "of the step of the temperatures");
      f.integer("schedule_epochs", schedule_epochs, "epochs that the cosine takes", foil::at_least(1));
      f.number("schedule_decay", schedule_decay, "factor of the exponential schedule each epoch",
               {0, 1, true, false});
      f.choice("rate_schedule", rate_schedule, {"constant", "cosine"}, "cosine goes from 1 to update_rate");
      f.integer("rate_epochs", rate_epochs, "epochs that the cosine takes", foil::at_least(1));
      f.choice("first_visit", first_visit, {"sample", "epoch_zero", "batch", "none"},
               "what takes its first estimate whole: every new sample, epoch 0, a batch of new samples only, "
               "nothing");
      f.number("smallest_estimate", smallest_estimate, "lower bound of u in the weights", foil::at_least(0));
      f.choice("surrogate", surrogate, {"exponential", "squared_hinge"},
               "what of a negative goes into the exponential");
      f.number("margin", margin, "of the squared hinge", foil::at_least(0));
      f.choice("temperature_of", temperature_of, {"anchor", "negative"},
               "negative reproduces the published squared hinge");
      f.flag("positive_among_negatives", positive_among_negatives, "as the published squared hinge");
      f.choice("directions", directions, {"mean", "sum"}, "how the two views are joined; sum as published");
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
    log_u_ = register_buffer("log_u", every(unseen));
    temperature_ = register_buffer("temperature", every(options_.temperature));
    momentum_ = register_buffer("temperature_momentum", every(0));
  }

  Tensor forward(const LossInput& input) override {
    const Tensor positive = (input.z[0] * input.z[1]).sum(1, true);                // [B, 1]
    const Tensor candidates = torch::cat({input.everyone(0), input.everyone(1)});  // [2N, D]
    const auto local = [&](const Tensor& state) {
      return state.index_select(0, input.index).to(positive.dtype());
    };
    const Tensor temperature = local(temperature_);                                    // [B]
    const Tensor before = local(log_u_).masked_fill(local(log_u_) <= unseen, lowest);  // log u: [B]
    const Tensor divisor = options_.temperature_of == "anchor"
                               ? temperature.unsqueeze(1)
                               : input.gather(temperature).repeat({2}).unsqueeze(0);
    const Tensor rate = rates(input, before);  // [B]

    std::vector<Tensor> terms, estimates, gradients;
    for (int64_t v = 0; v < 2; ++v) {
      const Tensor cosine = torch::matmul(input.z[static_cast<size_t>(v)], candidates.t());  // [B, 2N]
      const Tensor negative = negatives(input, v);                                           // [B, 2N]
      const double count = static_cast<double>(std::max<int64_t>(counted(input), 1));
      const bool hinge = options_.surrogate == "squared_hinge";
      const Tensor h = hinge ? (cosine - positive + options_.margin).clamp_min(0).square() : cosine;
      const Tensor scaled = h.detach() / divisor;                                        // [B, 2N]
      const Tensor g = foil::masked_logsumexp(scaled, negative) - std::log(count);       // log g: [B]
      const Tensor moved = torch::logaddexp((1 - rate).log() + before, rate.log() + g);  // log u_v: [B]
      const Tensor u = torch::where(g.isneginf(), before, moved);
      const Tensor bound =
          options_.smallest_estimate > 0 ? u.clamp_min(std::log(options_.smallest_estimate)) : u;
      const Tensor weight =
          (scaled - bound.unsqueeze(1)).masked_fill(negative.logical_not(), lowest).exp() / count;
      // The cosines less the positive's: no cancellation where pairs are aligned. The weights' sum is g /
      // u_v.
      const Tensor excess = torch::where(g.isneginf(), torch::full_like(g, -1), torch::expm1(g - bound));
      terms.push_back(hinge ? (weight * h).sum(1)
                            : (weight * (h - positive)).sum(1) + excess * positive.squeeze(1));  // [B]
      estimates.push_back(u);
      gradients.push_back(u + options_.robustness - (weight * scaled).sum(1));
    }
    keep_state(input, before, temperature, torch::stack(estimates), torch::stack(gradients).mean(0));
    return input.mean(options_.directions == "mean" ? (terms[0] + terms[1]) / 2 : terms[0] + terms[1]);
  }

  void after_step(const LossInput& input) override {
    const Tensor index = input.kept("index"), state = input.kept("state");  // [N], [N, 3]
    foil::scatter_rows(log_u_, index, state.select(1, 0), foil::Duplicates::last);
    foil::scatter_rows(momentum_, index, state.select(1, 1), foil::Duplicates::last);
    foil::scatter_rows(temperature_, index, state.select(1, 2), foil::Duplicates::last);
  }

 private:
  static constexpr double lowest = -std::numeric_limits<double>::infinity();
  static constexpr double unseen =
      std::numeric_limits<float>::lowest();  // log u of a sample before its first visit

  int64_t counted(const LossInput& input) const {
    return 2 * input.global_batch() - (options_.positive_among_negatives ? 1 : 2);
  }

  // The rows that anchors of view v are told from: [B, 2N].
  Tensor negatives(const LossInput& input, int64_t v) const {
    if (!options_.positive_among_negatives) return input.other_samples(2);
    const Tensor other = input.other_samples(), everyone = torch::ones_like(other);
    return v == 0 ? torch::cat({other, everyone}, 1) : torch::cat({everyone, other}, 1);
  }

  // The weight of the new estimate for each local sample: [B].
  Tensor rates(const LossInput& input, const Tensor& before) const {
    double at_epoch = options_.update_rate;
    if (options_.rate_schedule == "cosine") {
      const double part =
          std::min(1.0, static_cast<double>(input.epoch) / static_cast<double>(options_.rate_epochs));
      at_epoch += (1 - at_epoch) * 0.5 * (1 + std::cos(M_PI * part));
    }
    const Tensor rate = torch::full_like(before, at_epoch), first = before.isneginf();
    if (options_.first_visit == "sample") return rate.masked_fill(first, 1);
    if (options_.first_visit == "batch") return rate.masked_fill(input.gather(first).all(), 1);
    return options_.first_visit == "epoch_zero" && input.epoch == 0 ? torch::ones_like(rate) : rate;
  }

  double learning_rate(int64_t epoch) const {
    const double least = options_.smallest_learning_rate, span = options_.temperature_learning_rate - least;
    const double at = static_cast<double>(epoch);
    if (options_.temperature_schedule == "cosine") {
      return least +
             span * std::cos(M_PI / 2 * std::min(1.0, at / static_cast<double>(options_.schedule_epochs)));
    }
    if (options_.temperature_schedule == "exponential")
      return least + span * std::pow(options_.schedule_decay, at);
    if (options_.temperature_schedule == "exponential_from_epoch_one") {
      return least + span * std::pow(options_.schedule_decay, at - 1);
    }
    return options_.temperature_learning_rate;
  }

  // What after_step writes: log u, momentum and temperature of this batch's samples.
  void keep_state(const LossInput& input, const Tensor& before, const Tensor& temperature, const Tensor& u,
                  Tensor gradient) {
    const Tensor old = momentum_.index_select(0, input.index).to(before.dtype());
    Tensor state = torch::stack({before.clamp_min(unseen), old, temperature}, 1);  // [B, 3]
    const double step = learning_rate(input.epoch);
    if (counted(input) > 0) {
      if (options_.gradient_clip > 0)
        gradient = gradient.clamp(-options_.gradient_clip, options_.gradient_clip);
      const Tensor momentum = (1 - options_.gradient_rate) * old + options_.gradient_rate * gradient;
      const Tensor stepped =
          (temperature - step * momentum).clamp(options_.smallest_temperature, options_.largest_temperature);
      state = torch::stack({torch::logaddexp(u[0], u[1]) - std::log(2.0), momentum, stepped}, 1);
      input.report("temperature_gradient", input.mean(gradient));
    }
    input.keep("index", input.gather(input.index));
    input.keep("state", input.gather(state.detach()));
    input.report("temperature", input.mean(temperature));
    input.report("temperature_learning_rate", torch::full({}, step, before.options()));
  }

  Options options_;
  Tensor log_u_, temperature_, momentum_;  // [data set]
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<ISogCLR>(
      "isogclr", {.wider = {{"precision", 4,
                             "the value is a small difference of cosines, weighted by exp(s / 0.001)"}}});
}
