// SPDX-License-Identifier: BSD-3-Clause
// Golden mappings of graph_jsd: PyGCL's contrast models with its Jensen-Shannon objectives. Its files give
// the summaries as they are, after the projection: a projection with weight 0 has them as its bias.
#include "losses/jensen_shannon.h"
#include "tests/losses/node_golden.h"

namespace {

using namespace foil::golden;
using foil::Tensor;

Result with_summary(const nlohmann::json& options, const Tensor& summary, const std::vector<Tensor>& z) {
  const auto loss = make_loss("graph_jsd", options);
  loss->setup({.z_dim = summary.size(1)});
  loss->to(torch::kDouble);
  {
    torch::NoGradGuard no_grad;
    auto parameters = loss->named_parameters();
    parameters["summary.weight"].zero_();
    parameters["summary.bias"].copy_(summary[0]);
  }
  return run(*loss, z);
}

// ---- DGI: nodes against corrupted ones.

Tensors dgi(const Case& test) {
  const auto& in = test.inputs;
  const Result r = with_summary({{"contrast", "dgi"}}, in.at("in.g"), {in.at("in.h"), in.at("in.hn")});
  return {{"out.loss", r.loss},
          {"grad.g", r.parameter_gradients.at("summary.bias").unsqueeze(0)},
          {"grad.h", r.gradients[0]},
          {"grad.hn", r.gradients[1]}};
}

const Register of_dgi("dgi-jsd", {"graph_jsd", dgi});

// ---- MVGRL: one summary at a time; that of the other view meets zeros, which add nothing.

Tensors mvgrl(const Case& test) {
  const auto& in = test.inputs;
  const Tensor h1 = in.at("in.h1"), h2 = in.at("in.h2"), none = torch::zeros_like(h1);
  const nlohmann::json options{{"contrast", "mvgrl"}};
  const Result first = with_summary(options, in.at("in.g1"), {none, h2, none, in.at("in.h4")});
  const Result second = with_summary(options, in.at("in.g2"), {h1, none, in.at("in.h3"), none});
  return {{"out.loss", first.loss + second.loss},
          {"grad.g1", first.parameter_gradients.at("summary.bias").unsqueeze(0)},
          {"grad.g2", second.parameter_gradients.at("summary.bias").unsqueeze(0)},
          {"grad.h1", second.gradients[0]},
          {"grad.h2", first.gradients[1]},
          {"grad.h3", second.gradients[2]},
          {"grad.h4", first.gradients[3]}};
}

const Register of_mvgrl("mvgrl-jsd", {"graph_jsd", mvgrl});

// ---- Nodes of two views.

Tensors between_nodes(const Case& test) {
  const bool both = test.params.value("intraview_negs", false);
  const auto loss = make_loss(
      "graph_jsd", {{"contrast", "nodes"}, {"candidates", both ? "both_views_and_own" : "other_view"}});
  const Result r = run(*loss, {test.inputs.at("in.h1"), test.inputs.at("in.h2")});
  return {{"out.loss", r.loss}, {"grad.h1", r.gradients[0]}, {"grad.h2", r.gradients[1]}};
}

const Register of_nodes("pygcl-jsd-l2l", {"graph_jsd", between_nodes});

// ---- The objectives of pairs that masks name. Those of classes, where all others are negative, are those of
// nodes with labels, in the direction from anchor to sample.

foil::JensenShannon measure_of(const Case& test, foil::JensenShannon::Estimator estimator) {
  return {estimator, test.params.value("tau_plus", 0.1), test.params.value("beta", 1.0)};
}

// Any masks, by the objective that graph_jsd has: the value and the gradients of a and b.
std::vector<Tensor> masked(const foil::JensenShannon& measure, const Tensor& a, const Tensor& b,
                           const Tensor& positive, const Tensor& negative) {
  const Tensor x = leaf(a), y = leaf(b), d = torch::matmul(x, y.t());
  const Tensor sums = measure.sums(d, positive, negative, (d.abs() * negative).max()).sum(0);
  const Tensor value = foil::JensenShannon::value(sums, sums);
  const auto gradients = torch::autograd::grad({value}, {x, y});
  return {value.detach(), gradients[0], gradients[1]};
}

// The same of nodes whose classes the mask names; the gradient is that of both directions, which are one
// number but for hard negatives.
std::vector<Tensor> labelled(const Case& test, const std::string& estimator, const Tensor& label) {
  nlohmann::json options{{"contrast", "nodes"}, {"positives", "label"}, {"estimator", estimator}};
  if (test.params.contains("tau_plus")) options["positive_prior"] = test.params.at("tau_plus");
  if (test.params.contains("beta")) options["concentration"] = test.params.at("beta");
  const Result r =
      run(*make_loss("graph_jsd", options), {test.inputs.at("in.anchor"), test.inputs.at("in.sample")},
          [&](foil::LossInput& input) { input.label = label; });
  return {r.reports.at("loss_1_2"), r.gradients[0], r.gradients[1]};
}

Mapping by_masks(const std::string& name, foil::JensenShannon::Estimator estimator, bool gradients) {
  return {"graph_jsd", [=](const Case& test) -> Tensors {
            const auto& in = test.inputs;
            const Tensor positive = in.at("in.pos_mask") != 0, negative = in.at("in.neg_mask") != 0;
            const Tensor label = positive.to(torch::kLong).argmax(1);
            const bool classes = positive.size(0) == positive.size(1) &&
                                 (label.unsqueeze(1) == label).equal(positive) &&
                                 negative.equal(positive.logical_not());
            const std::vector<Tensor> got = classes ? labelled(test, name, label)
                                                    : masked(measure_of(test, estimator), in.at("in.anchor"),
                                                             in.at("in.sample"), positive, negative);
            if (!gradients) return {{"out.loss", got[0]}};  // PyGCL's code fails there
            return {{"out.loss", got[0]}, {"grad.anchor", got[1]}, {"grad.sample", got[2]}};
          }};
}

using Estimator = foil::JensenShannon::Estimator;
const Register of_jsd("pygcl-jsd", by_masks("plain", Estimator::plain, true));
const Register of_debiased("pygcl-debiased-jsd",
                           by_masks("debiased_published", Estimator::debiased_published, true));
const Register of_hardness("pygcl-hardness-jsd",
                           by_masks("hard_published", Estimator::hard_published, false));

// ---- InfoGraph: the summaries of several graphs against the nodes of all.

Tensors infograph(const Case& test) {
  const Tensor& g = test.inputs.at("in.g");
  const Tensor own = test.inputs.at("in.batch") == torch::arange(g.size(0)).unsqueeze(1);
  const std::vector<Tensor> got = masked({}, g, test.inputs.at("in.h"), own, own.logical_not());
  return {{"out.loss", got[0]}, {"grad.g", got[1]}, {"grad.h", got[2]}};
}

const Register of_infograph("infograph-jsd", {"graph_jsd", infograph});

}  // namespace
