// SPDX-License-Identifier: BSD-3-Clause
// Golden mappings of the losses that ask the host for more than views: queues, targets of the momentum tower,
// predictions, prototypes.
#include "model/momentum.h"
#include "tests/support/golden.h"

#include <torch/nn/modules/container/parameterdict.h>

#include <algorithm>

namespace {

using namespace foil::golden;
using foil::Tensor;

// ---- moco: the published step, whose queue has columns, and the momentum rule on its five parameters. The
// published code moves the momentum encoder before the keys are made, ours after the step before: the same.

Tensors moco_step(const Case& test, int64_t) {
  const nlohmann::json& p = test.params;
  const auto& in = test.inputs;
  const auto loss = make_loss("moco", {{"temperature", p.at("temperature")}, {"queue_length", p.at("K")}});
  const auto queue = std::make_shared<foil::QueueStore>(loss->needs().queues.at(0), in.at("in.q").size(1), 0,
                                                        torch::kDouble);
  set_queue(*queue, in.at("state.queue.before").t(), in.at("state.queue_ptr.before").item<int64_t>());
  const foil::Tensor q = in.at("in.q"), k = in.at("in.k");
  const Result r = run_step(
      *loss, {.z = {q, torch::zeros_like(q)}, .target = {torch::zeros_like(k), k}, .queues = {queue}});

  torch::nn::ParameterDict online, target;
  online->insert("w", in.at("in.encoder_q").clone());
  target->insert("w", in.at("state.encoder_k.before").clone());
  foil::follow(*online, *target, p.at("momentum"));
  return {{"out.loss", r.loss},
          {"grad.q", r.gradients[0]},
          {"grad.k", torch::zeros_like(k)},  // the host gives targets without gradient
          {"state.queue.after", queue->look().data.t()},
          {"state.queue_ptr.after", torch::tensor({queue_pointer(*queue)})},
          {"state.encoder_k.after", target->get("w").detach()}};
}

Tensors moco(const Case& test) { return each_step(test, moco_step); }

// Ours never has the similarities with the whole queue.
std::map<std::string, std::string> moco_left_out() {
  std::map<std::string, std::string> names;
  for (int64_t i = 0; i < 3; ++i)
    names["step" + std::to_string(i) + ".out.logits"] = "no matrix of similarities is made";
  return names;
}

const Register of_moco("moco", {"moco", moco, moco_left_out()});

// ---- mochi: The vectors name the drawn rows of the queue; ours draws a position among the hardest, in queue
// order.

// Draws in [0, 1) that choose these rows: [N, count] from the sorted rows of the hardest [N, hardest].
Tensor draws_of(const Tensor& rows, const Tensor& hardest) {
  const Tensor place = torch::searchsorted(hardest, rows);
  return (place.to(torch::kDouble) + 0.5) / static_cast<double>(hardest.size(1));
}

Tensors mochi_step(const Case& test, int64_t) {
  const nlohmann::json& p = test.params;
  const auto& in = test.inputs;
  const auto loss = make_loss("mochi", {{"temperature", p.at("temperature")},
                                        {"queue_length", p.at("K")},
                                        {"hardest", p.at("N_hard")},
                                        {"pairs", p.at("s")},
                                        {"with_query", p.at("s_prime")},
                                        {"mixing_start_epoch", 0}});
  const Tensor q = in.at("in.q"), k = in.at("in.k"), hardest = in.at("in.hard_topN");
  const auto queue =
      std::make_shared<foil::QueueStore>(loss->needs().queues.at(0), q.size(1), 0, torch::kDouble);
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

Tensors mochi(const Case& test) { return each_step(test, mochi_step); }

const Register of_mochi("mochi", {"mochi", mochi});

// ---- byol: both directions of the published loss; targets carry no gradient.

Tensors byol(const Case& test) {
  const Tensor t1 = test.inputs.at("in.zt1"), t2 = test.inputs.at("in.zt2");
  const Result r =
      run_step(*make_loss("byol", {{"directions", "sum"}}),
               {.z = {t1, t2}, .p = {test.inputs.at("in.p1"), test.inputs.at("in.p2")}, .target = {t1, t2}});
  return {{"out.loss", r.loss},
          {"out.loss_12", r.reports.at("loss_1_2")},
          {"out.loss_21", r.reports.at("loss_2_1")},
          {"grad.p1", r.prediction_gradients[0]},
          {"grad.p2", r.prediction_gradients[1]},
          {"grad.zt1", r.gradients[0]},
          {"grad.zt2", r.gradients[1]}};
}

const Register of_byol("byol", {"byol", byol});

// ---- nnclr: neighbours, gradients of the predictions, and the queue of the first view's projections.

Tensors nnclr_step(const Case& test, int64_t) {
  const auto& in = test.inputs;
  const auto loss = make_loss(
      "nnclr", {{"temperature", test.params.at("temperature")}, {"queue_length", test.params.at("K")}});
  const auto queue = std::make_shared<foil::QueueStore>(loss->needs().queues.at(0), in.at("in.z1").size(1), 0,
                                                        torch::kDouble);
  set_queue(*queue, in.at("state.queue.before"), in.at("state.queue_ptr.before").item<int64_t>());
  const Result r = run_step(
      *loss,
      {.z = {in.at("in.z1"), in.at("in.z2")}, .p = {in.at("in.p1"), in.at("in.p2")}, .queues = {queue}});
  return {{"out.loss", r.loss},
          {"out.nn_index1", r.input.kept("neighbour_1")},
          {"out.nn_index2", r.input.kept("neighbour_2")},
          {"grad.p1", r.prediction_gradients[0]},
          {"grad.p2", r.prediction_gradients[1]},
          {"state.queue.after", queue->look().data},
          {"state.queue_ptr.after", torch::tensor({queue_pointer(*queue)})}};
}

Tensors nnclr(const Case& test) { return each_step(test, nnclr_step); }

const Register of_nnclr("nnclr", {"nnclr", nnclr});

// ---- swav: The published loop normalises the prototypes before each step, ours after it. Its queue has the
// newest batch first and zeros where nothing has entered; ours is a ring.

// [length, D], newest batch first, from and to the order of entering.
Tensor other_way_round(const Tensor& rows, int64_t batch) {
  std::vector<Tensor> batches = rows.split(batch);
  std::reverse(batches.begin(), batches.end());
  return torch::cat(batches);
}

void enter(foil::QueueStore& queue, const Tensor& newest_first, int64_t batch) {
  const int64_t filled = newest_first.abs().sum(1).count_nonzero().item<int64_t>();
  auto state = queue.named_buffers();
  if (filled > 0)
    state["data"].slice(0, 0, filled).copy_(other_way_round(newest_first.slice(0, 0, filled), batch));
  state["entered"].fill_(filled);
}

Tensor newest_first(const foil::QueueStore& queue, int64_t batch) {
  const foil::Queue seen = queue.look();
  const int64_t next = queue_pointer(queue);
  const bool full = seen.filled == seen.data.size(0);
  const Tensor entered = full ? seen.data.roll({-next}, {0}) : seen.data.slice(0, 0, seen.filled);
  return torch::cat({other_way_round(entered, batch), torch::zeros_like(seen.data.slice(0, seen.filled))});
}

Tensors swav_step(const Case& test, int64_t) {
  const nlohmann::json& p = test.params;
  const Tensor z = test.inputs.at("in.z"), before = test.inputs.at("state.prototypes.before");
  const int64_t n = z.size(1), width = z.size(2);
  const auto loss = make_loss("swav", {{"temperature", p.at("temperature")},
                                       {"assignment_temperature", p.at("epsilon")},
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
    queues.push_back(std::make_shared<foil::QueueStore>(need, width, 0, torch::kDouble));
    enter(*queues.back(), test.inputs.at("state.queue.before")[need.view], n);
  }
  const Result r = run_step(*loss, {.z = z.unbind(0), .queues = queues});
  Tensors all{{"out.loss", r.loss},
              {"out.codes0", r.input.kept("codes_1")},
              {"out.codes1", r.input.kept("codes_2")},
              {"grad.z", torch::stack(r.gradients)},
              {"grad.prototypes", r.parameter_gradients.at("prototypes")},
              {"state.prototypes.after", loss->named_parameters()["prototypes"].detach()}};
  if (!queues.empty())
    all["state.queue.after"] = torch::stack({newest_first(*queues[0], n), newest_first(*queues[1], n)});
  return all;
}

Tensors swav(const Case& test) { return each_step(test, swav_step); }

const Register of_swav("swav", {"swav", swav});

// ---- dino: one step an epoch, with the published schedule of the teacher's temperature and the centre.

Tensors dino_step(const Case& test, int64_t i) {
  const nlohmann::json& p = test.params;
  const Tensor student = test.inputs.at("in.student"), teacher = test.inputs.at("in.teacher");
  const auto loss = make_loss("dino", {{"student_temperature", p.at("student_temp")},
                                       {"teacher_temperature", p.at("teacher_temp")},
                                       {"warmup_teacher_temperature", p.at("warmup_teacher_temp")},
                                       {"warmup_epochs", p.at("warmup_teacher_temp_epochs")},
                                       {"centre_momentum", p.at("center_momentum")}});
  loss->setup({.z_dim = student.size(2)});
  loss->to(torch::kDouble);
  Tensor centre = loss->named_buffers()["centre"];
  centre.copy_(test.inputs.at("state.center.before").flatten());
  const Result r =
      run_step(*loss, {.z = student.unbind(0), .target = teacher.unbind(0)},
               [&](foil::LossInput& input) { input.epoch = p.at("epochs").at(static_cast<size_t>(i)); });
  return {{"out.loss", r.loss},
          {"grad.student", torch::stack(r.gradients)},
          {"grad.teacher", torch::zeros_like(teacher)},  // the host gives targets without gradient
          {"state.center.after", centre.view_as(test.inputs.at("state.center.before"))}};
}

Tensors dino(const Case& test) { return each_step(test, dino_step); }

const Register of_dino("dino", {"dino", dino});

}  // namespace
