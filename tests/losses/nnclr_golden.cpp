// SPDX-License-Identifier: BSD-3-Clause
// Golden mapping of nnclr: neighbours, gradients of the predictions, and the queue of the first view's projections.
#include "tests/support/golden.h"

namespace {

using namespace foil::golden;
using foil::Tensor;

Tensors step(const Case& test, int64_t) {
  const auto& in = test.inputs;
  const auto loss = make_loss("nnclr", {{"temperature", test.params.at("temperature")}, {"queue_length", test.params.at("K")}});
  const auto queue =
      std::make_shared<foil::QueueStore>(loss->needs().queues.at(0), in.at("in.z1").size(1), false, 0, torch::kDouble);
  set_queue(*queue, in.at("state.queue.before"), in.at("state.queue_ptr.before").item<int64_t>());
  const Result r =
      run_step(*loss, {.z = {in.at("in.z1"), in.at("in.z2")}, .p = {in.at("in.p1"), in.at("in.p2")}, .queues = {queue}});
  return {{"out.loss", r.loss},
          {"out.nn_index1", r.input.kept("neighbour_1")},
          {"out.nn_index2", r.input.kept("neighbour_2")},
          {"grad.p1", r.prediction_gradients[0]},
          {"grad.p2", r.prediction_gradients[1]},
          {"state.queue.after", queue->look().data},
          {"state.queue_ptr.after", torch::tensor({queue_pointer(*queue)})}};
}

const Register nnclr("nnclr", {"nnclr", [](const Case& test) { return each_step(test, step); }});

}  // namespace
