// SPDX-License-Identifier: BSD-3-Clause
// Golden mappings of the augmentations of graphs: GCA's and CSGCL's probabilities, PyGCL's diffusions.
#include "augment/graph_weights.h"
#include "tests/support/golden.h"
#include "tests/support/graph_data.h"

#include <limits>

namespace {

using namespace foil::golden;
using namespace foil::augment;
using foil::Tensor;

// (max - s) / (max - mean): the probability before it is scaled and cut.
Tensor weight(const Tensor& importance) {
  return drop_probability(importance, 1, std::numeric_limits<double>::infinity());
}

int64_t nodes_of(const Tensor& ends) { return ends.max().item<int64_t>() + 1; }

// ---- drop_edge and mask_feature, as GCA's code has them

Tensors gca_pagerank(const Case& test) {
  const Tensor& ends = test.inputs.at("in.edge_index");
  const int64_t nodes = nodes_of(ends);
  return {{"out.pr3", pagerank(ends, nodes, 3, 0.5)},
          {"out.pr10", pagerank(ends, nodes, 10)},
          {"out.pr200", pagerank(ends, nodes, 200)}};
}

Tensors gca_prob(const Case& test) {
  const Tensor& ends = test.inputs.at("in.edge_index");
  const std::string scheme = test.params.at("scheme");
  const double threshold = test.params.at("threshold");
  const bool features = test.inputs.count("in.x") > 0;
  const int64_t nodes = features ? test.inputs.at("in.x").size(0) : nodes_of(ends);
  const auto centrality = [&](int64_t steps) {
    if (scheme == "degree") return degree(ends, nodes);
    return scheme == "pr" ? pagerank(ends, nodes, steps) : eigenvector_centrality(ends, nodes);
  };
  const double epsilon = scheme == "evc" ? 1e-8 : 0;
  const Tensor edge = log_importance(centrality(200) + epsilon).index_select(0, ends[1]);
  const Tensor dropped = drop_probability(edge, test.params.at("p_edge"), threshold);
  Tensors all{{"out.node_centrality", centrality(10)},
              {"out.edge_weight", weight(edge)},
              {"out.edge_drop_prob", dropped},
              {"out.edge_keep_prob", 1 - dropped}};
  if (!features) return all;
  const Tensor node = centrality(10) + epsilon;
  const Tensor use = log_importance(feature_use(test.inputs.at("in.x"), node, false));
  all["out.feature_weight"] = weight(use);
  all["out.feature_drop_prob"] = drop_probability(use, test.params.at("p_feature"), threshold);
  all["out.feature_weight_dense"] =
      weight(log_importance(feature_use(test.inputs.at("in.x_dense"), node, true)));
  return all;
}

const Register of_pagerank("gca-pagerank", {"drop_edge", gca_pagerank});
const Register of_degree("gca-prob-degree", {"drop_edge", gca_prob});
const Register of_pr("gca-prob-pr", {"drop_edge", gca_prob});
const Register of_evc("gca-prob-evc", {"drop_edge", gca_prob});

// ---- the same by communities, as CSGCL's code has them; part of its numbers are float32

Tensors csgcl_strength(const Case& test) {
  const Tensor& ends = test.inputs.at("in.edge_index");
  const Tensor& community = test.inputs.at("in.community");
  const Tensor strength = community_strength(ends, community);
  return {{"out.community_strength", strength},
          {"out.node_strength", strength.index_select(0, community)},
          {"out.edge_weight", edge_strength(ends, community, strength)}};
}

Tensors csgcl_prob(const Case& test) {
  const nlohmann::json& p = test.params;
  const Tensor node = test.inputs.at("in.node_strength").to(torch::kDouble);
  const auto masked = [&](const char* features) {
    return drop_probability(log_importance(feature_use(test.inputs.at(features), node, true)), p.at("cav_p"),
                            p.at("cav_threshold"));
  };
  return {{"out.ced_keep_prob",
           keep_probability(test.inputs.at("in.edge_weight"), p.at("ced_p"), p.at("ced_threshold"))},
          {"out.cav_drop_prob", masked("in.x")},
          {"out.cav_dense_drop_prob", masked("in.x_dense")}};
}

double of_its_type(const std::string& name, const nlohmann::json&) {
  return name == "out.node_strength" || name.starts_with("out.cav") ? 2e-5 : 1e-9;
}

const Register of_strength("csgcl-strength", {"drop_edge", csgcl_strength, {}, of_its_type});
const Register of_prob("csgcl-prob", {"mask_feature", csgcl_prob, {}, of_its_type});

// ---- diffusion

Tensors diffused(const Case& test, const nlohmann::json& options) {
  const Tensor& ends = test.inputs.at("in.edge_index");
  const foil::View view = foil::test::graph(torch::zeros({nodes_of(ends), 1}, torch::kDouble), ends);
  const auto diffusion = make_augmentation("diffusion", options);
  diffusion->setup(foil::test::GraphData(view));
  const foil::Edges edges =
      diffusion->apply(view, foil::AugmentContext{0, 0, 0, 0, torch::arange(view.size())}).edges;
  return {{"out.edge_index", edges.ends}, {"out.edge_weight", edges.weight}};
}

Tensors ppr(const Case& test) {
  return diffused(test,
                  {{"kind", "ppr"}, {"alpha", test.params.at("alpha")}, {"epsilon", test.params.at("eps")}});
}

Tensors markov(const Case& test) {
  return diffused(test, {{"kind", "markov"},
                         {"alpha", test.params.at("alpha")},
                         {"epsilon", test.params.at("sp_eps")},
                         {"steps", test.params.at("degree")}});
}

const Register of_ppr("pygcl-ppr", {"diffusion", ppr});
const Register of_markov("pygcl-markov", {"diffusion", markov});

}  // namespace
