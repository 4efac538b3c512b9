// SPDX-License-Identifier: BSD-3-Clause
// Golden mappings of dcl: the published DCL and DCLW (additive mask, weight with gradient), and the two blocks that lightly adds:
// its exact mask and its detached weight, both doubled there to the sum of the two directions.
#include "tests/support/golden.h"

namespace {

using namespace foil::golden;

Tensors block(const Case& test, nlohmann::json options, const std::string& prefix, bool parts) {
  options["temperature"] = test.params.at("temperature");
  const Result r = run(*make_loss("dcl", options), {test.inputs.at("in.z1"), test.inputs.at("in.z2")});
  const std::string out = parts ? "out." : prefix;
  Tensors values{{out + "loss", r.loss}, {prefix + "grad.z1", r.gradients[0]}, {prefix + "grad.z2", r.gradients[1]}};
  if (parts) {
    values["out.loss_12"] = r.reports.at("loss_12");
    values["out.loss_21"] = r.reports.at("loss_21");
  }
  return values;
}

const Register dcl("dcl", {"dcl", [](const Case& test) {
                             Tensors all = block(test, {{"mask", "additive"}}, "", true);
                             all.merge(block(test, nlohmann::json::object(), "lightly_x2_exact_mask.", false));
                             return all;
                           }});

const Register dclw("dclw", {"dcl", [](const Case& test) {
                               const nlohmann::json weighted = {
                                   {"weighting", "von_mises_fisher"}, {"sigma", test.params.at("sigma")}, {"mask", "additive"}};
                               nlohmann::json detached = weighted;
                               detached["detach_weight"] = true;
                               detached["mask"] = "exact";
                               Tensors all = block(test, weighted, "", true);
                               all.merge(block(test, detached, "lightly_x2_detached_weight.", false));
                               return all;
                             }});

}  // namespace
