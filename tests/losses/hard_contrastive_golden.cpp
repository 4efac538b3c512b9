// SPDX-License-Identifier: BSD-3-Clause
// Golden mapping of hard_contrastive: negatives of the batch.
#include "tests/support/golden.h"

namespace {

using namespace foil::golden;

const Register hard_contrastive(
    "hard_contrastive",
    {"hard_contrastive", [](const Case& test) {
       const nlohmann::json& p = test.params;
       const auto loss = make_loss("hard_contrastive", {{"temperature", p.at("temperature")}, {"kept_fraction", p.at("alpha")}});
       const Result r = run(*loss, {test.inputs.at("in.q"), test.inputs.at("in.k")});
       return Tensors{{"out.loss", r.loss}, {"grad.q", r.gradients[0]}, {"grad.k", r.gradients[1]}};
     }});

}  // namespace
