// SPDX-License-Identifier: BSD-3-Clause
// Golden mappings of the losses that see the views of one batch and nothing else.
#include "tests/support/golden.h"

namespace {

using namespace foil::golden;
using foil::Tensor;

// The value and gradients of a loss of two views, and of one of V views, under the files' names.
Tensors two_views(const Case& test, const std::string& loss, const nlohmann::json& options) {
  const Result r = run(*make_loss(loss, options), {test.inputs.at("in.z1"), test.inputs.at("in.z2")});
  return {{"out.loss", r.loss}, {"grad.z1", r.gradients[0]}, {"grad.z2", r.gradients[1]}};
}

Tensors all_views(const Case& test, const std::string& loss, const nlohmann::json& options,
                  const std::function<void(foil::LossInput&)>& prepare = {}) {
  const Result r = run(*make_loss(loss, options), test.inputs.at("in.z").unbind(0), prepare);
  return {{"out.loss", r.loss}, {"grad.z", torch::stack(r.gradients)}};
}

nlohmann::json temperature(const Case& test) { return {{"temperature", test.params.at("temperature")}}; }

// ---- infonce: lightly's NTXentLoss (ntxent) and Multi-View-CL's NT-Xent over V views (ntxent_mv).

Tensors ntxent(const Case& test) { return two_views(test, "infonce", temperature(test)); }
Tensors ntxent_mv(const Case& test) { return all_views(test, "infonce", temperature(test)); }

const Register of_ntxent("ntxent", {"infonce", ntxent});
const Register of_ntxent_mv("ntxent_mv", {"infonce", ntxent_mv});

// ---- dcl: the published DCL and DCLW (additive mask, weight with gradient), and the two blocks that lightly
// adds: its exact mask and its detached weight, both doubled there to the sum of the two directions.

Tensors dcl_block(const Case& test, nlohmann::json options, const std::string& prefix, bool parts) {
  options.update({{"temperature", test.params.at("temperature")}, {"directions", "sum"}});
  const Result r = run(*make_loss("dcl", options), {test.inputs.at("in.z1"), test.inputs.at("in.z2")});
  const std::string out = parts ? "out." : prefix;
  Tensors values{
      {out + "loss", r.loss}, {prefix + "grad.z1", r.gradients[0]}, {prefix + "grad.z2", r.gradients[1]}};
  if (parts) {
    values["out.loss_12"] = r.reports.at("loss_1_2");
    values["out.loss_21"] = r.reports.at("loss_2_1");
  }
  return values;
}

Tensors dcl(const Case& test) {
  Tensors all = dcl_block(test, {{"mask", "additive"}}, "", true);
  all.merge(dcl_block(test, nlohmann::json::object(), "lightly_x2_exact_mask.", false));
  return all;
}

Tensors dclw(const Case& test) {
  const nlohmann::json weighted = {
      {"weighting", "von_mises_fisher"}, {"sigma", test.params.at("sigma")}, {"mask", "additive"}};
  nlohmann::json detached = weighted;
  detached["detach_weight"] = true;
  detached["mask"] = "exact";
  Tensors all = dcl_block(test, weighted, "", true);
  all.merge(dcl_block(test, detached, "lightly_x2_detached_weight.", false));
  return all;
}

const Register of_dcl("dcl", {"dcl", dcl});
const Register of_dclw("dclw", {"dcl", dclw});

// ---- align_uniform: the published functions, summed as its STL-10 example does.

Tensors align_uniform(const Case& test) {
  const nlohmann::json& p = test.params;
  const auto loss = make_loss("align_uniform", {{"alignment_weight", p.at("align_w")},
                                                {"uniformity_weight", p.at("unif_w")},
                                                {"alignment_power", p.at("align_alpha")},
                                                {"uniformity_scale", p.at("unif_t")}});
  const Result r = run(*loss, {test.inputs.at("in.z1"), test.inputs.at("in.z2")});
  return {{"out.loss", r.loss},
          {"out.align", r.reports.at("align")},
          {"out.uniform", r.reports.at("uniform")},
          {"grad.z1", r.gradients[0]},
          {"grad.z2", r.gradients[1]}};
}

const Register of_align_uniform("align_uniform", {"align_uniform", align_uniform});

// ---- supcon: the published SupConLoss, with and without labels.

Tensors supcon(const Case& test) {
  const nlohmann::json& p = test.params;
  const bool labels = p.at("labels");
  const nlohmann::json options{{"temperature", p.at("temperature")},
                               {"base_temperature", p.at("base_temperature")},
                               {"positives", labels ? "label" : "view"},
                               {"anchors", p.at("contrast_mode")},
                               {"without_positives", "zero"}};
  return all_views(test, "supcon", options, [&](foil::LossInput& input) {
    if (labels) input.label = test.inputs.at("in.labels");
  });
}

const Register of_supcon("supcon", {"supcon", supcon});

// ---- hard_contrastive: negatives of the batch, and a bank of negatives as a full queue.

Tensors hard_contrastive(const Case& test) {
  const nlohmann::json& p = test.params;
  const bool queue = p.at("layout") == "queue";
  const auto loss = make_loss("hard_contrastive", {{"temperature", p.at("temperature")},
                                                   {"kept_fraction", p.at("alpha")},
                                                   {"negatives", queue ? "queue" : "batch"}});
  const auto fill = [&](foil::LossInput& input) {
    if (!queue) return;
    const Tensor bank = test.inputs.at("in.bank");
    input.queue = {{.data = foil::unit(bank), .label = {}, .index = {}, .filled = bank.size(0), .view = 1}};
  };
  const Result r = run(*loss, {test.inputs.at("in.q"), test.inputs.at("in.k")}, fill);
  return {{"out.loss", r.loss}, {"grad.q", r.gradients[0]}, {"grad.k", r.gradients[1]}};
}

const Register of_hard_contrastive("hard_contrastive", {"hard_contrastive", hard_contrastive});

// ---- hcl: the published image loss, both estimators.

Tensors hcl(const Case& test) {
  const nlohmann::json& p = test.params;
  nlohmann::json options{{"temperature", p.at("temperature")}, {"estimator", p.at("estimator")}};
  if (p.contains("tau_plus")) options["positive_prior"] = p.at("tau_plus");
  if (p.contains("beta")) options["concentration"] = p.at("beta");
  return two_views(test, "hcl", options);
}

const Register of_hcl("hcl", {"hcl", hcl});

// ---- mv_infonce: MVINFONCE of Multi-View-CL.

Tensors mv_infonce(const Case& test) { return all_views(test, "mv_infonce", temperature(test)); }

const Register of_mv_infonce("mv_infonce", {"mv_infonce", mv_infonce});

// ---- mv_dhel: MVDHEL of Multi-View-CL, its pairwise and average modes, and the ablations CL_1 and CL_2.
// ---- multiview: NTXent's pairwise and average modes and both PVC losses of Multi-View-CL.

Mapping aggregation(const std::string& loss, const std::string& name) {
  return {
      loss, [loss, name](const Case& test) {
        return all_views(test, loss, {{"temperature", test.params.at("temperature")}, {"aggregation", name}});
      }};
}

const Register of_mv_dhel("mv_dhel", aggregation("mv_dhel", "joint"));
const Register of_mv_dhel_pwe("mv_dhel_pwe", aggregation("mv_dhel", "pairwise"));
const Register of_dhel_avg("dhel_avg", aggregation("mv_dhel", "average"));
const Register of_cl_2("cl_2", aggregation("mv_dhel", "anchor_positives"));
const Register of_cl_1("cl_1", aggregation("mv_dhel", "anchor_softmax"));

const Register of_pwe("pwe", aggregation("multiview", "pairwise"));
const Register of_avg("avg", aggregation("multiview", "average"));
const Register of_pvc("pvc", aggregation("multiview", "geometric"));
const Register of_pvc_arithmetic("pvc_arithmetic", aggregation("multiview", "arithmetic_published"));

// ---- barlow: the published script.

Tensors barlow(const Case& test) {
  const nlohmann::json& p = test.params;
  return two_views(test, "barlow", {{"off_diagonal_weight", p.at("lambd")}, {"epsilon", p.at("bn_eps")}});
}

const Register of_barlow("barlow", {"barlow", barlow});

// ---- vicreg: the published script.

Tensors vicreg(const Case& test) {
  const nlohmann::json& p = test.params;
  return two_views(test, "vicreg",
                   {{"invariance_weight", p.at("sim_coeff")},
                    {"variance_weight", p.at("std_coeff")},
                    {"covariance_weight", p.at("cov_coeff")},
                    {"epsilon", p.at("std_eps")}});
}

const Register of_vicreg("vicreg", {"vicreg", vicreg});

}  // namespace
