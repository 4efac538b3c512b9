// SPDX-License-Identifier: BSD-3-Clause
// Golden mappings of losses on nodes that are one of ours with options: GraphMAE's errors, and PyGCL's
// bootstrap, Barlow Twins and VICReg.
#include "tests/losses/node_golden.h"

#include "model/momentum.h"

#include <torch/nn/modules/container/parameterdict.h>

namespace {

using namespace foil::golden;
using foil::Tensor;

// ---- graphmae: x^ is what the decoder gives of view 1, x the features in view 2. Files with a mask have the
// rows of all nodes, the others those of masked ones alone.

Tensors graphmae(const Case& test, nlohmann::json options) {
  const auto& in = test.inputs;
  const bool masked = in.count("in.mask_nodes") > 0;
  const Tensor made = leaf(in.at(masked ? "in.recon" : "in.x")), x = leaf(in.at(masked ? "in.x" : "in.y"));
  foil::LossInput input = nodes_input({made.detach(), made.detach()});
  input.decoded = {made, made};
  input.views.resize(2);
  for (foil::View& view : input.views) view.data = x;
  if (masked) input.views[0].params = torch::zeros({x.size(0), 1}).index_fill_(0, in.at("in.mask_nodes"), 1);
  const Tensors leaves = masked ? Tensors{{"recon", made}, {"x", x}} : Tensors{{"x", made}, {"y", x}};
  return graded(*make_loss("graphmae", options), input, leaves);
}

Tensors scaled_cosine(const Case& test) {
  return graphmae(test, {{"exponent", test.params.at("alpha").get<double>()}});
}
Tensors sigmoid(const Case& test) { return graphmae(test, {{"error", "sigmoid"}}); }

const Register of_sce("graphmae-sce", {"graphmae", scaled_cosine});
const Register of_sce_mask("graphmae-sce-mask", {"graphmae", scaled_cosine});
const Register of_sig("graphmae-sig", {"graphmae", sigmoid});

// ---- byol: PyGCL's bootstrap is the mean cosine itself, 1 - L / 2, and not what it minimises in truth; and
// BGRL's target encoder, one step on.

Tensors bootstrap(const Case& test) {
  const auto& in = test.inputs;
  const Tensor t1 = in.at("in.h1_target"), t2 = in.at("in.h2_target");
  const Result r =
      run_step(*make_loss("byol", {}),
               {.z = {t1, t2}, .p = {in.at("in.h1_pred"), in.at("in.h2_pred")}, .target = {t1, t2}});
  return {{"out.loss", 1 - r.loss / 2},
          {"grad.h1_pred", -r.prediction_gradients[0] / 2},
          {"grad.h2_pred", -r.prediction_gradients[1] / 2}};
}

Tensors target_encoder(const Case& test) {
  torch::nn::ParameterDict online, target;
  for (const std::string name : {"weight", "bias"}) {
    online->insert(name, test.inputs.at("in.online_" + name).clone());
    target->insert(name, test.inputs.at("state." + name + ".before").clone());
  }
  foil::follow(*online, *target, test.params.at("momentum"));
  return {{"state.weight.after", target->get("weight").detach()},
          {"state.bias.after", target->get("bias").detach()}};
}

const Register of_bootstrap("pygcl-bootstrap-l2l", {"byol", bootstrap});
const Register of_target("bgrl-ema", {"byol", target_encoder});

// ---- barlow and vicreg, PyGCL's: the mean of both directions is one of them; lambda is 1/D where it is
// null; the hinges of both views add up.

Tensors two_views(const Case& test, const std::string& loss, const nlohmann::json& options) {
  const Result r = run(*make_loss(loss, options), {test.inputs.at("in.h1"), test.inputs.at("in.h2")});
  return {{"out.loss", r.loss}, {"grad.h1", r.gradients[0]}, {"grad.h2", r.gradients[1]}};
}

Tensors barlow(const Case& test) {
  const nlohmann::json& p = test.params;
  const double width = static_cast<double>(test.inputs.at("in.h1").size(1));
  return two_views(
      test, "barlow",
      {{"off_diagonal_weight", p.at("lambda_").is_null() ? 1 / width : p.at("lambda_").get<double>()},
       {"standardisation", p.at("batch_norm").get<bool>() ? "deviation" : "none"},
       {"epsilon", p.at("eps")}});
}

Tensors vicreg(const Case& test) {
  const nlohmann::json& p = test.params;
  return two_views(test, "vicreg",
                   {{"invariance_weight", p.at("sim_weight")},
                    {"variance_weight", 2 * p.at("var_weight").get<double>()},
                    {"covariance_weight", p.at("cov_weight")},
                    {"epsilon", p.at("eps")}});
}

const Register of_barlow("pygcl-barlow", {"barlow", barlow});
const Register of_barlow_plain("pygcl-barlow-nobn", {"barlow", barlow});
const Register of_vicreg("pygcl-vicreg", {"vicreg", vicreg});

}  // namespace
