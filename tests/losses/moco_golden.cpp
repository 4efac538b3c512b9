// SPDX-License-Identifier: BSD-3-Clause
// Golden mapping of moco: the published step, whose queue has columns, and the momentum rule on its five parameters. The published
// code moves the momentum encoder before the keys are made, ours after the step before: the same.
#include "model/momentum.h"
#include "tests/support/golden.h"

#include <torch/nn/modules/container/parameterdict.h>

namespace {

using namespace foil::golden;
using foil::QueueNeed;

Tensors step(const Case& test, int64_t) {
  const nlohmann::json& p = test.params;
  const auto& in = test.inputs;
  const auto loss = make_loss("moco", {{"temperature", p.at("temperature")}, {"queue_length", p.at("K")}});
  const auto queue =
      std::make_shared<foil::QueueStore>(loss->needs().queues.at(0), in.at("in.q").size(1), false, 0, torch::kDouble);
  set_queue(*queue, in.at("state.queue.before").t(), in.at("state.queue_ptr.before").item<int64_t>());
  const foil::Tensor q = in.at("in.q"), k = in.at("in.k");
  const Result r = run_step(*loss, {.z = {q, torch::zeros_like(q)}, .target = {torch::zeros_like(k), k}, .queues = {queue}});

  torch::nn::ParameterDict online, target;
  online->insert("w", in.at("in.encoder_q").clone());
  target->insert("w", in.at("state.encoder_k.before").clone());
  foil::follow(*online, *target, p.at("momentum"));
  return {{"out.loss", r.loss},
          {"out.logits", torch::cat({r.input.kept("positive_1").unsqueeze(1), r.input.kept("negative_1")}, 1)},
          {"grad.q", r.gradients[0]},
          {"grad.k", torch::zeros_like(k)},  // the host gives targets without gradient
          {"state.queue.after", queue->look().data.t()},
          {"state.queue_ptr.after", torch::tensor({queue_pointer(*queue)})},
          {"state.encoder_k.after", target->get("w").detach()}};
}

const Register moco("moco", {"moco", [](const Case& test) { return each_step(test, step); }});

}  // namespace
