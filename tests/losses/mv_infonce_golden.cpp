// SPDX-License-Identifier: BSD-3-Clause
// Golden mapping of mv_infonce: MVINFONCE of Multi-View-CL.
#include "tests/support/golden.h"

namespace {

using namespace foil::golden;

const Register mv_infonce("mv_infonce", {"mv_infonce", [](const Case& test) {
                                           const Result r =
                                               run(*make_loss("mv_infonce", {{"temperature", test.params.at("temperature")}}),
                                                   test.inputs.at("in.z").unbind(0));
                                           return Tensors{{"out.loss", r.loss}, {"grad.z", torch::stack(r.gradients)}};
                                         }});

}  // namespace
