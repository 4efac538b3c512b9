// SPDX-License-Identifier: BSD-3-Clause
// Golden mapping of barlow: the published script.
#include "tests/support/golden.h"

namespace {

using namespace foil::golden;

const Register barlow("barlow", {"barlow", [](const Case& test) {
                                   const nlohmann::json& p = test.params;
                                   const Result r = run(
                                       *make_loss("barlow", {{"off_diagonal_weight", p.at("lambd")}, {"epsilon", p.at("bn_eps")}}),
                                       {test.inputs.at("in.z1"), test.inputs.at("in.z2")});
                                   return Tensors{{"out.loss", r.loss}, {"grad.z1", r.gradients[0]}, {"grad.z2", r.gradients[1]}};
                                 }});

}  // namespace
