// SPDX-License-Identifier: BSD-3-Clause
// Golden mapping of byol: both directions of the published loss; targets carry no gradient.
#include "tests/support/golden.h"

namespace {

using namespace foil::golden;
using foil::Tensor;

const Register byol("byol", {"byol", [](const Case& test) {
                               const Tensor t1 = test.inputs.at("in.zt1"), t2 = test.inputs.at("in.zt2");
                               const Result r = run_step(
                                   *make_loss("byol", {}),
                                   {.z = {t1, t2}, .p = {test.inputs.at("in.p1"), test.inputs.at("in.p2")}, .target = {t1, t2}});
                               return Tensors{{"out.loss", r.loss},
                                              {"out.loss_12", r.reports.at("loss_1_2")},
                                              {"out.loss_21", r.reports.at("loss_2_1")},
                                              {"grad.p1", r.prediction_gradients[0]},
                                              {"grad.p2", r.prediction_gradients[1]},
                                              {"grad.zt1", r.gradients[0]},
                                              {"grad.zt2", r.gradients[1]}};
                             }});

}  // namespace
