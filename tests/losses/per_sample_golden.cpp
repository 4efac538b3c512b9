// SPDX-License-Identifier: BSD-3-Clause
// Golden mappings of the losses that keep state per sample of the training set: the steps of a file, one by
// one.
#include "tests/losses/estimates_golden.h"
#include "tests/support/golden.h"

#include <torch/types.h>

namespace {

using namespace foil::golden;
using foil::Tensor;

// One of the file's state tensors: its name there, the loss's buffer, and whether the buffer holds its log.
struct State {
  std::string published, buffer;
  bool log = false;
};

// Runs every step from the file's own state before it. `more` adds what a step reports, under the file's
// names.
Tensors run_per_sample(
    const Case& test, foil::Loss& loss, const std::vector<State>& states,
    const std::function<void(const std::string& step, const Result&, Tensors&)>& more = {}) {
  loss.setup({.dataset_size = test.params.at("dataset_size")});
  loss.to(torch::kDouble);
  Tensors all;
  for (int64_t i = 0; test.inputs.count("step" + std::to_string(i) + ".in.z1"); ++i) {
    const std::string step = "step" + std::to_string(i) + ".";
    auto buffers = loss.named_buffers();
    for (const State& state : states) {
      const Tensor before = test.inputs.at(step + "state." + state.published + ".before");
      buffers[state.buffer].copy_(state.log ? before.log() : before);
    }
    const int64_t epoch =
        test.params.contains("epochs") ? test.params["epochs"].at(static_cast<size_t>(i)).get<int64_t>() : 0;
    const Result r = run(loss, {test.inputs.at(step + "in.z1"), test.inputs.at(step + "in.z2")},
                         [&](foil::LossInput& input) {
                           input.index = test.inputs.at(step + "in.index");
                           input.epoch = epoch;
                           input.step = i;
                         });
    all[step + "out.loss"] = r.loss;
    all[step + "grad.z1"] = r.gradients[0];
    all[step + "grad.z2"] = r.gradients[1];
    for (const State& state : states) {
      const Tensor after = buffers[state.buffer].clone();
      all[step + "state." + state.published + ".after"] = state.log ? after.exp() : after;
    }
    if (more) more(step, r, all);
  }
  return all;
}

// LibAUC anneals its rate by the epoch, or takes the first estimate of a batch of new samples only.
nlohmann::json libauc_options(const nlohmann::json& p) {
  nlohmann::json options{{"temperature", p.at("tau")},
                         {"estimate_momentum", momentum(p.at("gamma"))},
                         {"smallest_estimate", p.at("eps")},
                         {"directions", "sum"}};
  if (p.at("gamma_schedule") == "cosine") {
    options["momentum_schedule"] = "cosine";
    options["momentum_epochs"] = p.at("gamma_decay_epochs");
    options["first_visit"] = "none";
  } else {
    options["first_visit"] = "batch";
  }
  return options;
}

// ---- sogclr: the published code, iSogCLR's copy, and LibAUC's GCLoss_v1.

Tensors sogclr_steps(const Case& test, const nlohmann::json& options) {
  return run_per_sample(test, *make_loss("sogclr", options), {{"u", "log_u", true}});
}

nlohmann::json sogclr_options(const nlohmann::json& p) {
  return {{"temperature", p.at("temperature")},
          {"estimate_momentum", momentum(p.at("gamma"))},
          {"directions", "sum"}};
}

Tensors sogclr(const Case& test) {
  nlohmann::json options = sogclr_options(test.params);
  options["first_visit"] = "batch";
  return sogclr_steps(test, options);
}

Tensors sogclr_isorepo(const Case& test) {
  nlohmann::json options = sogclr_options(test.params);
  options.update({{"first_visit", "none"}, {"history", "sum"}});
  return sogclr_steps(test, options);
}

Tensors sogclr_libauc(const Case& test) { return sogclr_steps(test, libauc_options(test.params)); }

const Register of_sogclr("sogclr", {"sogclr", sogclr});
const Register of_sogclr_isorepo("sogclr_isorepo", {"sogclr", sogclr_isorepo});
const Register of_sogclr_libauc("sogclr_libauc", {"sogclr", sogclr_libauc, libauc_left_out()});

// ---- isogclr: both unimodal losses of the published code, and LibAUC's GCLoss_v1 with learnable
// temperatures.

nlohmann::json isogclr_options(const nlohmann::json& p) {
  return {{"temperature", p.at("tau_init")},
          {"smallest_temperature", p.at("tau_min")},
          {"largest_temperature", p.at("tau_max")},
          {"robustness", p.at("rho")},
          {"estimate_momentum", momentum(p.at("gamma"))},
          {"gradient_momentum", momentum(p.at("beta_u"))},
          {"gradient_clip", p.at("grad_clip")},
          {"temperature_learning_rate", p.at("eta_init")},
          {"directions", "sum"}};
}

Tensors isogclr_steps(const Case& test, const nlohmann::json& options) {
  const std::vector<State> states{
      {"s", "log_u", true}, {"tau", "temperature"}, {"u", "temperature_momentum"}};
  return run_per_sample(test, *make_loss("isogclr", options), states,
                        [](const std::string& step, const Result& r, Tensors& all) {
                          all[step + "out.avg_tau"] = r.reports.at("temperature");
                          all[step + "out.grad_tau_mean"] = r.reports.at("temperature_gradient");
                          all[step + "out.eta"] = r.reports.at("temperature_learning_rate");
                        });
}

Tensors isogclr(const Case& test) {
  nlohmann::json options = isogclr_options(test.params);
  options["first_visit"] = "epoch_zero";
  return isogclr_steps(test, options);
}

Tensors isogclr_sqh(const Case& test) {
  const std::map<std::string, std::string> schedules{
      {"const", "constant"}, {"cosine", "cosine"}, {"exp", "exponential_from_epoch_one"}};
  const nlohmann::json& p = test.params;
  nlohmann::json options = isogclr_options(p);
  options.update({{"surrogate", "squared_hinge"},
                  {"margin", p.at("c")},
                  {"first_visit", "none"},
                  {"temperature_of", "negative"},
                  {"positive_among_negatives", true},
                  {"smallest_learning_rate", p.at("eta_min")},
                  {"temperature_schedule", schedules.at(p.at("eta_sched"))},
                  {"schedule_epochs", p.at("max_epoch")}});
  if (p.contains("eta_exp_gamma")) options["schedule_decay"] = p.at("eta_exp_gamma");
  return isogclr_steps(test, options);
}

Tensors isogclr_libauc(const Case& test) {
  const nlohmann::json& p = test.params;
  nlohmann::json options = libauc_options(p);
  options.update(libauc_temperatures(p));
  return run_per_sample(
      test, *make_loss("isogclr", options),
      {{"u", "log_u", true}, {"learnable_tau", "temperature"}, {"grad_tau", "temperature_momentum"}});
}

const Register of_isogclr("isogclr", {"isogclr", isogclr});
const Register of_isogclr_sqh("isogclr_sqh", {"isogclr", isogclr_sqh});
const Register of_isogclr_libauc("isogclr_libauc", {"isogclr", isogclr_libauc, libauc_left_out()});

}  // namespace
