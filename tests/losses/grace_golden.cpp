// SPDX-License-Identifier: BSD-3-Clause
// Golden mappings of the contrasts of a graph's nodes: GRACE and its relatives, CSGCL, gCooL.
#include "api/loss_tensors.h"
#include "model/tower.h"
#include "ranks/world.h"
#include "tests/support/golden.h"

#include <torch/autograd.h>
#include <torch/types.h>

namespace {

using namespace foil::golden;
using foil::LossInput;
using foil::Tensor;

foil::View graph(const Tensor& ends, const Tensor& params = {}) {
  foil::View view;
  view.modality = "graph";
  view.kind = foil::Kind::graph;
  view.params = params;
  view.edges.ends = ends;
  return view;
}

// ---- magcl-loss: MA-GCL's, of one direction.

Result of_views(const Case& test, const nlohmann::json& options,
                const std::function<void(LossInput&)>& prepare = {}) {
  const auto loss = make_loss("grace", options);
  return run(*loss, {test.inputs.at("in.h1"), test.inputs.at("in.h2")}, prepare);
}
Tensors h1_h2(const Result& r, double times = 1) {
  return {
      {"out.loss", r.loss * times}, {"grad.h1", r.gradients[0] * times}, {"grad.h2", r.gradients[1] * times}};
}

Tensors magcl(const Case& test) {
  return h1_h2(of_views(
      test, {{"temperature", test.params.at("tau")}, {"candidates", "other_view"}, {"directions", "first"}}));
}

const Register of_magcl("magcl-loss", {"grace", magcl});

// ---- grace: the published loss, which may add instead of average, alone or behind an experiment's head.

struct Rows final : foil::Encoder {
  explicit Rows(int64_t columns) : width(columns) {}
  void setup(const foil::EncoderSizes&) override {}
  foil::Features forward(const foil::View& view) override { return {view.data, {}, {}, {}}; }
  int64_t feature_dim() const override { return width; }
  int64_t width;
};

Tensors grace_head(const Case& test) {
  const std::map<std::string, std::string> names{{"head.0.weight", "fc1_weight"},
                                                 {"head.0.bias", "fc1_bias"},
                                                 {"head.2.weight", "fc2_weight"},
                                                 {"head.2.bias", "fc2_bias"}};
  const Tensor hidden = test.inputs.at("in.fc1_bias"), out = test.inputs.at("in.fc2_bias");
  foil::HeadOptions head;
  head.dims = {hidden.size(0), out.size(0)};
  head.batch_norm = false;
  head.activation = foil::HeadOptions::Activation::elu;
  foil::Tower tower(std::make_shared<Rows>(out.size(0)), head, {});
  tower.to(torch::kDouble);
  foil::Views views(2);
  std::vector<Tensor> leaves;
  std::vector<std::string> called{"grad.z1", "grad.z2"};
  for (size_t v = 0; v < 2; ++v) {
    views[v].data =
        test.inputs.at(std::string("in.z") + (v == 0 ? "1" : "2")).detach().clone().requires_grad_();
    leaves.push_back(views[v].data);
  }
  for (const auto& item : tower.named_parameters()) {
    item.value().detach().copy_(test.inputs.at("in." + names.at(item.key())));
    leaves.push_back(item.value());
    called.push_back("grad." + names.at(item.key()));
  }
  LossInput heads;
  heads.z = tower.forward(views).z;
  heads.ranks = foil::World::single();
  const auto loss = make_loss("grace", {{"temperature", test.params.at("tau")}});
  const Tensor value = (*loss)(foil::scaled(heads));
  const std::vector<Tensor> gradients = torch::autograd::grad({value}, leaves);
  const double times = test.params.at("mean") ? 1 : static_cast<double>(views[0].data.size(0));
  Tensors all{{"out.loss", value.detach() * times}};
  for (size_t i = 0; i < leaves.size(); ++i) all[called[i]] = gradients[i] * times;
  return all;
}

Tensors grace(const Case& test) {
  if (test.inputs.count("in.fc1_weight")) return grace_head(test);
  const Result r = of_views(test, {{"temperature", test.params.at("tau")}});
  const double nodes = static_cast<double>(test.inputs.at("in.h1").size(0));
  Tensors all = h1_h2(r, test.params.at("mean") ? 1 : nodes);
  all.merge(Tensors{{"out.l1", r.input.kept("each_1_2")}, {"out.l2", r.input.kept("each_2_1")}});
  return all;
}

const Register of_grace("grace", {"grace", grace});

// ---- PyGCL: InfoNCE between two branches, with and without negatives of the anchors' own; and of one branch
// with masks, where positives are classes and pairs that neither mask has are edges.

Tensors pygcl(const Case& test) {
  const bool intra = test.params.at("intraview_negs");
  return h1_h2(of_views(test, {{"temperature", test.params.at("tau")},
                               {"candidates", intra ? "both_views_and_own" : "other_view"}}));
}

Tensors pygcl_masks(const Case& test, const std::string& several) {
  const Tensor positive = test.inputs.at("in.pos_mask");
  const auto given = test.inputs.find("in.neg_mask");
  const Tensor met = given == test.inputs.end() ? torch::ones_like(positive) : positive + given->second;
  const auto loss = make_loss("grace", {{"temperature", test.params.at("tau")},
                                        {"candidates", "other_view"},
                                        {"directions", "first"},
                                        {"positives", "label"},
                                        {"several_positives", several},
                                        {"neighbours", "left_out"}});
  const Result r =
      run(*loss, {test.inputs.at("in.anchor"), test.inputs.at("in.sample")}, [&](LossInput& input) {
        input.label = positive.argmax(1);  // the first of a class names it
        input.views = {graph((met == 0).nonzero().t().contiguous())};
      });
  return {{"out.loss", r.loss}, {"grad.anchor", r.gradients[0]}, {"grad.sample", r.gradients[1]}};
}

const Register of_pygcl("pygcl-infonce-l2l", {"grace", pygcl});
const Register of_pygcl_intra("pygcl-infonce-l2l-intra", {"grace", pygcl});
const Register of_pygcl_masks("pygcl-infonce-mask",
                              {"grace", [](const Case& test) { return pygcl_masks(test, "mean_of_logs"); }});
const Register of_pygcl_sp("pygcl-infoncesp-mask",
                           {"grace", [](const Case& test) { return pygcl_masks(test, "log_of_sum"); }});

// ---- triplet: PyGCL's, whose positives are classes.

Tensors triplet(const Case& test) {
  const auto loss = make_loss(
      "triplet", {{"margin", test.params.at("margin")}, {"positives", "label"}, {"directions", "first"}});
  const Result r = run(*loss, {test.inputs.at("in.anchor"), test.inputs.at("in.sample")},
                       [&](LossInput& input) { input.label = test.inputs.at("in.pos_mask").argmax(1); });
  return {{"out.loss", r.loss}, {"grad.anchor", r.gradients[0]}, {"grad.sample", r.gradients[1]}};
}

const Register of_triplet("pygcl-triplet-sp", {"triplet", triplet});

// ---- csgcl: the published team-up loss at one epoch.

Tensors csgcl(const Case& test) {
  const nlohmann::json& p = test.params;
  const auto loss = make_loss("csgcl", {{"temperature", p.at("tau")},
                                        {"strength_weight", p.at("gamma_max")},
                                        {"strength_start_epoch", p.at("t0")}});
  return h1_h2(run(*loss, {test.inputs.at("in.h1"), test.inputs.at("in.h2")}, [&](LossInput& input) {
    const foil::View view = graph({}, test.inputs.at("in.node_strength").unsqueeze(1));
    input.views = {view, view};
    input.epoch = p.at("current_epoch");
  }));
}

const Register of_csgcl("csgcl-teamup", {"csgcl", csgcl});

// ---- gcool: the published loss in fp64 and fp32, by products as shipped and by distances.

Tensors gcool(const Case& test) {
  const nlohmann::json& p = test.params;
  const bool dot = p.at("similarity") == "cos";
  const auto loss = make_loss("gcool", {{"temperature", p.at("tau")},
                                        {"communities", p.at("num_community")},
                                        {"similarity", dot ? "dot" : "gaussian"},
                                        {"between_weight", p.at("lamda")},
                                        {"community_decay", dot ? nlohmann::json(0) : p.at("gamma")},
                                        {"stride_epochs", p.at("stride")},
                                        {"communal_share", p.at("alpha_rate")},
                                        {"directions", "first"}});
  const Tensor z1 = test.inputs.at("in.z1"), z2 = test.inputs.at("in.z2");
  loss->setup({.z_dim = z1.size(1)});
  loss->to(z1.scalar_type());
  loss->named_parameters()["centres"].detach().copy_(test.inputs.at("in.center"));
  const Result r = run(*loss, {z1, z2}, [&](LossInput& input) {
    input.views = {graph(test.inputs.at("in.edge_index_1")), graph(test.inputs.at("in.edge_index_2"))};
    input.epoch = p.at("epoch");
  });
  return {{"out.loss", r.loss},
          {"out.node", r.reports.at("nodes")},
          {"out.deca", r.reports.at("density")},
          {"out.deca1", r.reports.at("density_1")},
          {"out.community", r.reports.at("communities")},
          {"out.R1", r.input.kept("assignment_1")},
          {"out.R2", r.input.kept("assignment_2")},
          {"grad.z1", r.gradients[0]},
          {"grad.z2", r.gradients[1]},
          {"grad.center", r.parameter_gradients.at("centres")}};
}

const Register of_gcool("gcool", {"gcool", gcool});
const Register of_gcool_f32("gcool-f32", {"gcool", gcool});
const Register of_gcool_rbf("gcool-rbf", {"gcool", gcool});

}  // namespace
