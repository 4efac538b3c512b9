// SPDX-License-Identifier: BSD-3-Clause
// Golden mapping of swav. The published loop normalises the prototypes before each step, ours after it. Its queue has the newest
// batch first and zeros where nothing has entered; ours is a ring.
#include "tests/support/golden.h"

#include <algorithm>

namespace {

using namespace foil::golden;
using foil::Tensor;

// [length, D], newest batch first, from and to the order of entering.
Tensor other_way_round(const Tensor& rows, int64_t batch) {
  std::vector<Tensor> batches = rows.split(batch);
  std::reverse(batches.begin(), batches.end());
  return torch::cat(batches);
}

void enter(foil::QueueStore& queue, const Tensor& newest_first, int64_t batch) {
  const int64_t filled = newest_first.abs().sum(1).count_nonzero().item<int64_t>();
  auto state = queue.named_buffers();
  if (filled > 0) state["data"].slice(0, 0, filled).copy_(other_way_round(newest_first.slice(0, 0, filled), batch));
  state["entered"].fill_(filled);
}

Tensor newest_first(const foil::QueueStore& queue, int64_t batch) {
  const foil::Queue seen = queue.look();
  const int64_t next = queue_pointer(queue);
  const bool full = seen.filled == seen.data.size(0);
  const Tensor entered = full ? seen.data.roll({-next}, {0}) : seen.data.slice(0, 0, seen.filled);
  return torch::cat({other_way_round(entered, batch), torch::zeros_like(seen.data.slice(0, seen.filled))});
}

Tensors step(const Case& test, int64_t) {
  const nlohmann::json& p = test.params;
  const Tensor z = test.inputs.at("in.z"), before = test.inputs.at("state.prototypes.before");
  const int64_t n = z.size(1), width = z.size(2);
  const auto loss = make_loss("swav", {{"temperature", p.at("temperature")},
                                       {"epsilon", p.at("epsilon")},
                                       {"iterations", p.at("sinkhorn_iterations")},
                                       {"prototypes", p.at("n_prototypes")},
                                       {"queue_length", p.at("queue_length")},
                                       {"queue_start_epoch", 0}});
  loss->setup({.z_dim = width});
  loss->to(torch::kDouble);
  {
    torch::NoGradGuard no_grad;
    loss->named_parameters()["prototypes"].copy_(before);
    loss->after_step({});
  }
  std::vector<std::shared_ptr<foil::QueueStore>> queues;
  for (const foil::QueueNeed& need : loss->needs().queues) {
    queues.push_back(std::make_shared<foil::QueueStore>(need, width, false, 0, torch::kDouble));
    enter(*queues.back(), test.inputs.at("state.queue.before")[need.view], n);
  }
  const Result r = run_step(*loss, {.z = z.unbind(0), .queues = queues});
  Tensors all{{"out.loss", r.loss},
              {"out.codes0", r.input.kept("codes_1")},
              {"out.codes1", r.input.kept("codes_2")},
              {"grad.z", torch::stack(r.gradients)},
              {"grad.prototypes", r.parameter_gradients.at("prototypes")},
              {"state.prototypes.after", loss->named_parameters()["prototypes"].detach()}};
  if (!queues.empty()) all["state.queue.after"] = torch::stack({newest_first(*queues[0], n), newest_first(*queues[1], n)});
  return all;
}

const Register swav("swav", {"swav", [](const Case& test) { return each_step(test, step); }});

}  // namespace
