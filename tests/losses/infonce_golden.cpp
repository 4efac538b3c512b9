// SPDX-License-Identifier: BSD-3-Clause
// Golden mappings of infonce: lightly's NTXentLoss (ntxent) and Multi-View-CL's NT-Xent over V views (ntxent_mv).
#include "tests/support/golden.h"

namespace {

using foil::Tensor;
using namespace foil::golden;

nlohmann::json options(const Case& test) { return {{"temperature", test.params.at("temperature")}}; }

const Register ntxent(
    "ntxent", {"infonce", [](const Case& test) {
                 const Result r = run(*make_loss("infonce", options(test)), {test.inputs.at("in.z1"), test.inputs.at("in.z2")});
                 return Tensors{{"out.loss", r.loss}, {"grad.z1", r.gradients[0]}, {"grad.z2", r.gradients[1]}};
               }});

const Register ntxent_mv("ntxent_mv", {"infonce", [](const Case& test) {
                                         const Result r =
                                             run(*make_loss("infonce", options(test)), test.inputs.at("in.z").unbind(0));
                                         return Tensors{{"out.loss", r.loss}, {"grad.z", torch::stack(r.gradients)}};
                                       }});

}  // namespace
