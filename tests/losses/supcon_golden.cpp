// SPDX-License-Identifier: BSD-3-Clause
// Golden mapping of supcon: the published SupConLoss, with and without labels.
#include "tests/support/golden.h"

namespace {

using namespace foil::golden;

const Register supcon("supcon", {"supcon", [](const Case& test) {
                                   const nlohmann::json& p = test.params;
                                   const bool labels = p.at("labels");
                                   const auto loss = make_loss("supcon", {{"temperature", p.at("temperature")},
                                                                          {"base_temperature", p.at("base_temperature")},
                                                                          {"positives", labels ? "label" : "view"},
                                                                          {"anchors", p.at("contrast_mode")},
                                                                          {"without_positives", "zero"}});
                                   const Result r = run(*loss, test.inputs.at("in.z").unbind(0), [&](foil::LossInput& input) {
                                     if (labels) input.label = test.inputs.at("in.labels");
                                   });
                                   return Tensors{{"out.loss", r.loss}, {"grad.z", torch::stack(r.gradients)}};
                                 }});

}  // namespace
