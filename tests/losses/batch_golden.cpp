// SPDX-License-Identifier: BSD-3-Clause
// Golden mappings of the losses that see the views of one batch and nothing else.
#include "tests/support/golden.h"

namespace {

using namespace foil::golden;
using foil::Tensor;

// ---- infonce: lightly's NTXentLoss (ntxent) and Multi-View-CL's NT-Xent over V views (ntxent_mv).

nlohmann::json infonce_options(const Case& test) { return {{"temperature", test.params.at("temperature")}}; }

const Register ntxent(
    "ntxent",
    {"infonce", [](const Case& test) {
       const Result r = run(*make_loss("infonce", infonce_options(test)),
                            {test.inputs.at("in.z1"), test.inputs.at("in.z2")});
       return Tensors{{"out.loss", r.loss}, {"grad.z1", r.gradients[0]}, {"grad.z2", r.gradients[1]}};
     }});

const Register ntxent_mv("ntxent_mv",
                         {"infonce", [](const Case& test) {
                            const Result r = run(*make_loss("infonce", infonce_options(test)),
                                                 test.inputs.at("in.z").unbind(0));
                            return Tensors{{"out.loss", r.loss}, {"grad.z", torch::stack(r.gradients)}};
                          }});

// ---- dcl: the published DCL and DCLW (additive mask, weight with gradient), and the two blocks that lightly
// adds: its exact mask and its detached weight, both doubled there to the sum of the two directions.

Tensors dcl_block(const Case& test, nlohmann::json options, const std::string& prefix, bool parts) {
  options.update({{"temperature", test.params.at("temperature")}, {"directions", "sum"}});
  const Result r = run(*make_loss("dcl", options), {test.inputs.at("in.z1"), test.inputs.at("in.z2")});
  const std::string out = parts ? "out." : prefix;
  Tensors values{
      {out + "loss", r.loss}, {prefix + "grad.z1", r.gradients[0]}, {prefix + "grad.z2", r.gradients[1]}};
  if (parts) {
    values["out.loss_12"] = r.reports.at("loss_12");
    values["out.loss_21"] = r.reports.at("loss_21");
  }
  return values;
}

const Register dcl("dcl",
                   {"dcl", [](const Case& test) {
                      Tensors all = dcl_block(test, {{"mask", "additive"}}, "", true);
                      all.merge(dcl_block(test, nlohmann::json::object(), "lightly_x2_exact_mask.", false));
                      return all;
                    }});

const Register dclw("dclw", {"dcl", [](const Case& test) {
                               const nlohmann::json weighted = {{"weighting", "von_mises_fisher"},
                                                                {"sigma", test.params.at("sigma")},
                                                                {"mask", "additive"}};
                               nlohmann::json detached = weighted;
                               detached["detach_weight"] = true;
                               detached["mask"] = "exact";
                               Tensors all = dcl_block(test, weighted, "", true);
                               all.merge(dcl_block(test, detached, "lightly_x2_detached_weight.", false));
                               return all;
                             }});

// ---- align_uniform: the published functions, summed as its STL-10 example does.

const Register align_uniform("align_uniform",
                             {"align_uniform", [](const Case& test) {
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

// ---- supcon: the published SupConLoss, with and without labels.

const Register supcon("supcon",
                      {"supcon", [](const Case& test) {
                         const nlohmann::json& p = test.params;
                         const bool labels = p.at("labels");
                         const auto loss =
                             make_loss("supcon", {{"temperature", p.at("temperature")},
                                                  {"base_temperature", p.at("base_temperature")},
                                                  {"positives", labels ? "label" : "view"},
                                                  {"anchors", p.at("contrast_mode")},
                                                  {"without_positives", "zero"}});
                         const Result r =
                             run(*loss, test.inputs.at("in.z").unbind(0), [&](foil::LossInput& input) {
                               if (labels) input.label = test.inputs.at("in.labels");
                             });
                         return Tensors{{"out.loss", r.loss}, {"grad.z", torch::stack(r.gradients)}};
                       }});

// ---- hard_contrastive: negatives of the batch, and a bank of negatives as a full queue.

const Register hard_contrastive(
    "hard_contrastive",
    {"hard_contrastive", [](const Case& test) {
       const nlohmann::json& p = test.params;
       const bool queue = p.at("layout") == "queue";
       const auto loss = make_loss("hard_contrastive", {{"temperature", p.at("temperature")},
                                                        {"kept_fraction", p.at("alpha")},
                                                        {"negatives", queue ? "queue" : "batch"}});
       const Result r =
           run(*loss, {test.inputs.at("in.q"), test.inputs.at("in.k")}, [&](foil::LossInput& input) {
             if (!queue) return;
             const foil::Tensor bank = test.inputs.at("in.bank");
             input.queue = {
                 {.data = foil::unit(bank), .label = {}, .index = {}, .filled = bank.size(0), .view = 1}};
           });
       return Tensors{{"out.loss", r.loss}, {"grad.q", r.gradients[0]}, {"grad.k", r.gradients[1]}};
     }});

// ---- hcl: the published image loss, both estimators.

const Register hcl(
    "hcl",
    {"hcl", [](const Case& test) {
       const nlohmann::json& p = test.params;
       nlohmann::json options{{"temperature", p.at("temperature")}, {"estimator", p.at("estimator")}};
       if (p.contains("tau_plus")) options["positive_prior"] = p.at("tau_plus");
       if (p.contains("beta")) options["concentration"] = p.at("beta");
       const Result r = run(*make_loss("hcl", options), {test.inputs.at("in.z1"), test.inputs.at("in.z2")});
       return Tensors{{"out.loss", r.loss}, {"grad.z1", r.gradients[0]}, {"grad.z2", r.gradients[1]}};
     }});

// ---- mv_infonce: MVINFONCE of Multi-View-CL.

const Register mv_infonce("mv_infonce",
                          {"mv_infonce", [](const Case& test) {
                             const Result r = run(
                                 *make_loss("mv_infonce", {{"temperature", test.params.at("temperature")}}),
                                 test.inputs.at("in.z").unbind(0));
                             return Tensors{{"out.loss", r.loss}, {"grad.z", torch::stack(r.gradients)}};
                           }});

// ---- mv_dhel: MVDHEL of Multi-View-CL, its pairwise and average modes, and the ablations CL_1 and CL_2.

Mapping form(const std::string& name) {
  return {"mv_dhel", [name](const Case& test) {
            const Result r =
                run(*make_loss("mv_dhel", {{"temperature", test.params.at("temperature")}, {"form", name}}),
                    test.inputs.at("in.z").unbind(0));
            return Tensors{{"out.loss", r.loss}, {"grad.z", torch::stack(r.gradients)}};
          }};
}

const Register mv_dhel("mv_dhel", form("joint"));
const Register mv_dhel_pwe("mv_dhel_pwe", form("pairwise"));
const Register dhel_avg("dhel_avg", form("average"));
const Register cl_2("cl_2", form("anchor_positives"));
const Register cl_1("cl_1", form("anchor_softmax"));

// ---- multiview: NTXent's pairwise and average modes and both PVC losses of Multi-View-CL.

Mapping aggregation(const std::string& name) {
  return {"multiview", [name](const Case& test) {
            const Result r = run(*make_loss("multiview", {{"temperature", test.params.at("temperature")},
                                                          {"aggregation", name}}),
                                 test.inputs.at("in.z").unbind(0));
            return Tensors{{"out.loss", r.loss}, {"grad.z", torch::stack(r.gradients)}};
          }};
}

const Register pwe("pwe", aggregation("pairwise"));
const Register avg("avg", aggregation("average"));
const Register pvc("pvc", aggregation("geometric"));
const Register pvc_arithmetic("pvc_arithmetic", aggregation("arithmetic_published"));

// ---- barlow: the published script.

const Register barlow(
    "barlow",
    {"barlow", [](const Case& test) {
       const nlohmann::json& p = test.params;
       const Result r =
           run(*make_loss("barlow", {{"off_diagonal_weight", p.at("lambd")}, {"epsilon", p.at("bn_eps")}}),
               {test.inputs.at("in.z1"), test.inputs.at("in.z2")});
       return Tensors{{"out.loss", r.loss}, {"grad.z1", r.gradients[0]}, {"grad.z2", r.gradients[1]}};
     }});

// ---- vicreg: the published script.

const Register vicreg(
    "vicreg",
    {"vicreg", [](const Case& test) {
       const nlohmann::json& p = test.params;
       const Result r = run(*make_loss("vicreg", {{"invariance_weight", p.at("sim_coeff")},
                                                  {"variance_weight", p.at("std_coeff")},
                                                  {"covariance_weight", p.at("cov_coeff")},
                                                  {"epsilon", p.at("std_eps")}}),
                            {test.inputs.at("in.z1"), test.inputs.at("in.z2")});
       return Tensors{{"out.loss", r.loss}, {"grad.z1", r.gradients[0]}, {"grad.z2", r.gradients[1]}};
     }});

}  // namespace
