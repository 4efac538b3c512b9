// SPDX-License-Identifier: BSD-3-Clause
// Golden mapping of dino: one step an epoch, with the published schedule of the teacher's temperature and the centre.
#include "tests/support/golden.h"

namespace {

using namespace foil::golden;
using foil::Tensor;

Tensors step(const Case& test, int64_t i) {
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
  const Result r = run_step(*loss, {.z = student.unbind(0), .target = teacher.unbind(0)},
                            [&](foil::LossInput& input) { input.epoch = p.at("epochs").at(static_cast<size_t>(i)); });
  return {{"out.loss", r.loss},
          {"grad.student", torch::stack(r.gradients)},
          {"grad.teacher", torch::zeros_like(teacher)},  // the host gives targets without gradient
          {"state.center.after", centre.view_as(test.inputs.at("state.center.before"))}};
}

const Register dino("dino", {"dino", [](const Case& test) { return each_step(test, step); }});

}  // namespace
