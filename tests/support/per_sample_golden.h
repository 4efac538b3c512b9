// SPDX-License-Identifier: BSD-3-Clause
// Golden vectors of losses that keep state per sample of the training set: the steps of a file, one by one.
#pragma once

#include "tests/support/golden.h"

#include <torch/types.h>

namespace foil::golden {

// One of the file's state tensors: its name there, the loss's buffer, and whether the buffer holds its log.
struct State {
  std::string published, buffer;
  bool log = false;
};

// Runs every step from the file's own state before it. `more` adds what a step reports, under the file's names.
inline Tensors run_per_sample(const Case& test, Loss& loss, const std::vector<State>& states,
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
    const int64_t epoch = test.params.contains("epochs") ? test.params["epochs"].at(static_cast<size_t>(i)).get<int64_t>() : 0;
    const Result r = run(loss, {test.inputs.at(step + "in.z1"), test.inputs.at(step + "in.z2")}, [&](LossInput& input) {
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
inline nlohmann::json libauc_options(const nlohmann::json& p) {
  nlohmann::json options{{"temperature", p.at("tau")}, {"update_rate", p.at("gamma")}, {"smallest_estimate", p.at("eps")}};
  if (p.at("gamma_schedule") == "cosine") {
    options["rate_schedule"] = "cosine";
    options["rate_epochs"] = p.at("gamma_decay_epochs");
    options["first_visit"] = "none";
  } else {
    options["first_visit"] = "batch";
  }
  return options;
}

// What of LibAUC's files is not compared.
inline std::map<std::string, std::string> libauc_left_out() {
  std::map<std::string, std::string> left_out;
  for (int step = 0; step < 10; ++step) {
    left_out["step" + std::to_string(step) + ".out.gamma_used_setting"] = "an attribute of the published object, not a result";
  }
  return left_out;
}

}  // namespace foil::golden
