// SPDX-License-Identifier: BSD-3-Clause
// Golden mappings of mv_dhel: MVDHEL of Multi-View-CL, its pairwise and average modes, and the ablations CL_1 and CL_2.
#include "tests/support/golden.h"

namespace {

using namespace foil::golden;

Mapping form(const std::string& name) {
  return {"mv_dhel", [name](const Case& test) {
            const Result r = run(*make_loss("mv_dhel", {{"temperature", test.params.at("temperature")}, {"form", name}}),
                                 test.inputs.at("in.z").unbind(0));
            return Tensors{{"out.loss", r.loss}, {"grad.z", torch::stack(r.gradients)}};
          }};
}

const Register mv_dhel("mv_dhel", form("joint"));
const Register mv_dhel_pwe("mv_dhel_pwe", form("pairwise"));
const Register dhel_avg("dhel_avg", form("average"));
const Register cl_2("cl_2", form("anchor_positives"));
const Register cl_1("cl_1", form("anchor_softmax"));

}  // namespace
