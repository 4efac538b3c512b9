// SPDX-License-Identifier: BSD-3-Clause
// Golden mapping of vicreg: the published script.
#include "tests/support/golden.h"

namespace {

using namespace foil::golden;

const Register vicreg("vicreg", {"vicreg", [](const Case& test) {
                                   const nlohmann::json& p = test.params;
                                   const Result r = run(*make_loss("vicreg", {{"invariance_weight", p.at("sim_coeff")},
                                                                              {"variance_weight", p.at("std_coeff")},
                                                                              {"covariance_weight", p.at("cov_coeff")},
                                                                              {"epsilon", p.at("std_eps")}}),
                                                        {test.inputs.at("in.z1"), test.inputs.at("in.z2")});
                                   return Tensors{{"out.loss", r.loss}, {"grad.z1", r.gradients[0]}, {"grad.z2", r.gradients[1]}};
                                 }});

}  // namespace
