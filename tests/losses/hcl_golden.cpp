// SPDX-License-Identifier: BSD-3-Clause
// Golden mapping of hcl: the published image loss, both estimators.
#include "tests/support/golden.h"

namespace {

using namespace foil::golden;

const Register hcl("hcl", {"hcl", [](const Case& test) {
                             const nlohmann::json& p = test.params;
                             nlohmann::json options{{"temperature", p.at("temperature")}, {"estimator", p.at("estimator")}};
                             if (p.contains("tau_plus")) options["positive_prior"] = p.at("tau_plus");
                             if (p.contains("beta")) options["concentration"] = p.at("beta");
                             const Result r = run(*make_loss("hcl", options), {test.inputs.at("in.z1"), test.inputs.at("in.z2")});
                             return Tensors{{"out.loss", r.loss}, {"grad.z1", r.gradients[0]}, {"grad.z2", r.gradients[1]}};
                           }});

}  // namespace
