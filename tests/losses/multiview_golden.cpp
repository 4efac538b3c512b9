// SPDX-License-Identifier: BSD-3-Clause
// Golden mappings of multiview: NTXent's pairwise and average modes and both PVC losses of Multi-View-CL.
#include "tests/support/golden.h"

namespace {

using namespace foil::golden;

Mapping aggregation(const std::string& name) {
  return {"multiview", [name](const Case& test) {
            const Result r = run(*make_loss("multiview", {{"temperature", test.params.at("temperature")}, {"aggregation", name}}),
                                 test.inputs.at("in.z").unbind(0));
            return Tensors{{"out.loss", r.loss}, {"grad.z", torch::stack(r.gradients)}};
          }};
}

const Register pwe("pwe", aggregation("pairwise"));
const Register avg("avg", aggregation("average"));
const Register pvc("pvc", aggregation("geometric"));
const Register pvc_arithmetic("pvc_arithmetic", aggregation("arithmetic_published"));

}  // namespace
