// SPDX-License-Identifier: BSD-3-Clause
// Golden mapping of mochi. The vectors name the drawn rows of the queue; ours draws a position among the hardest, in queue order.
#include "tests/support/golden.h"

namespace {

using namespace foil::golden;
using foil::Tensor;

// Draws in [0, 1) that choose these rows: [N, count] from the sorted rows of the hardest [N, hardest].
Tensor draws_of(const Tensor& rows, const Tensor& hardest) {
  const Tensor place = torch::searchsorted(hardest, rows);
  return (place.to(torch::kDouble) + 0.5) / static_cast<double>(hardest.size(1));
}

Tensors step(const Case& test, int64_t) {
  const nlohmann::json& p = test.params;
  const auto& in = test.inputs;
  const auto loss = make_loss("mochi", {{"temperature", p.at("temperature")},
                                        {"queue_length", p.at("K")},
                                        {"hardest", p.at("N_hard")},
                                        {"pairs", p.at("s")},
                                        {"with_query", p.at("s_prime")},
                                        {"start_epoch", 0}});
  const Tensor q = in.at("in.q"), k = in.at("in.k"), hardest = in.at("in.hard_topN");
  const auto queue = std::make_shared<foil::QueueStore>(loss->needs().queues.at(0), q.size(1), false, 0, torch::kDouble);
  set_queue(*queue, in.at("state.queue.before"), in.at("state.queue_ptr.before").item<int64_t>());
  const Result r = run_step(*loss, {.z = {q, torch::zeros_like(q)},
                                    .target = {torch::zeros_like(k), k},
                                    .queues = {queue},
                                    .draws = {{"pair_a", draws_of(in.at("in.mix1_a"), hardest)},
                                              {"pair_b", draws_of(in.at("in.mix1_b"), hardest)},
                                              {"partner", draws_of(in.at("in.mix2_b"), hardest)},
                                              {"alpha", in.at("in.mix1_alpha")},
                                              {"beta", in.at("in.mix2_beta_raw")}}});
  return {{"out.loss", r.loss},
          {"out.logits", torch::cat({r.input.kept("positive").unsqueeze(1), r.input.kept("negative")}, 1)},
          {"grad.q", r.gradients[0]},
          {"state.queue.after", queue->look().data},
          {"state.queue_ptr.after", torch::tensor(queue_pointer(*queue))}};
}

const Register mochi("mochi", {"mochi", [](const Case& test) { return each_step(test, step); }});

}  // namespace
