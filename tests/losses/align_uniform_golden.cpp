// SPDX-License-Identifier: BSD-3-Clause
// Golden mapping of align_uniform: the published functions, summed as its STL-10 example does.
#include "tests/support/golden.h"

namespace {

using namespace foil::golden;

const Register align_uniform("align_uniform", {"align_uniform", [](const Case& test) {
                                                 const nlohmann::json& p = test.params;
                                                 const Result r =
                                                     run(*make_loss("align_uniform", {{"alignment_weight", p.at("align_w")},
                                                                                      {"uniformity_weight", p.at("unif_w")},
                                                                                      {"alignment_power", p.at("align_alpha")},
                                                                                      {"uniformity_scale", p.at("unif_t")}}),
                                                         {test.inputs.at("in.z1"), test.inputs.at("in.z2")});
                                                 return Tensors{{"out.loss", r.loss},
                                                                {"out.align", r.reports.at("align")},
                                                                {"out.uniform", r.reports.at("uniform")},
                                                                {"grad.z1", r.gradients[0]},
                                                                {"grad.z2", r.gradients[1]}};
                                               }});

}  // namespace
