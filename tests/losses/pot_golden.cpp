// SPDX-License-Identifier: BSD-3-Clause
// Golden mappings of POT: the bounds of the adjacency, and one of its two calls with all that leads to its
// value. Published bounds are rounded to fp32.
#include "losses/compactness.h"
#include "ranks/world.h"
#include "tests/support/golden.h"

#include <torch/autograd.h>
#include <torch/types.h>

namespace {

using namespace foil::golden;
using foil::LossInput;
using foil::Tensor;

Tensors bounds(const Case& test) {
  const int64_t nodes = test.params.at("num_nodes");
  const auto found = compactness::adjacency_bounds({test.inputs.at("in.edge_index"), {}, {}}, nodes,
                                                   test.params.at("local_changes"), torch::kFloat, true);
  Tensor upper = torch::zeros({nodes, nodes});
  upper.index_put_({found.upper.ends[0], found.upper.ends[1]}, found.upper.weight);
  return {{"out.A_upper", upper}, {"out.A_lower", found.lower.diag()}};
}

// What leads to the score of the chosen nodes, by the parts that the loss is made of.
Tensors parts(const Case& test, const compactness::Layers& layers) {
  const auto& in = test.inputs;
  const Tensor x = in.at("in.x"), chosen = in.at("in.node_list");
  const foil::Edges edges{in.at("in.edge_index"), {}, {}};
  const auto bounds =
      compactness::adjacency_bounds(edges, x.size(0), test.params.at("local_changes"), torch::kDouble, true);
  const compactness::BoundedLayers bounded(x, edges, bounds, chosen, layers);
  foil::Edges view = compactness::normalised({in.at("in.edge_index_aug"), {}, {}}, x.size(0), torch::kDouble);
  view.ends = view.ends.flip(0);
  const foil::Propagation adjacency(compactness::among(view, chosen, x.size(0)), chosen.size(0),
                                    torch::kDouble);
  const auto score = bounded.score(foil::unit(in.at("in.z2")), adjacency);
  return {{"out.z1_L", bounded.first->low},  {"out.z1_U", bounded.first->high},
          {"out.z2_L", bounded.second->low}, {"out.z2_U", bounded.second->high},
          {"out.W_tilde_2", score.weight2},  {"out.W_tilde_1", torch::matmul(score.weight1, layers.weight1)},
          {"out.b_tilde_2", score.bias2},    {"out.b_tilde_1", score.bias1},
          {"out.score", score.score}};
}

// The two views are one and the same, so that their mean is the published call. Its rows are those of the
// chosen nodes, which are drawn first.
Tensors pot(const Case& test) {
  const auto& in = test.inputs;
  const auto leaf = [&](const std::string& name) {
    return in.at("in." + name).detach().clone().requires_grad_();
  };
  const Tensor x = leaf("x"), z2 = leaf("z2"), w1 = leaf("w1"), b1 = leaf("b1"), w2 = leaf("w2"),
               b2 = leaf("b2");
  const Tensor chosen = in.at("in.node_list"),
               slope = torch::tensor({test.params.at("negative_slope").get<double>()}, torch::kDouble);
  const auto loss = make_loss("pot", {{"drop_rate", test.params.at("local_changes")},
                                      {"activation", test.params.at("activation")},
                                      {"nodes_per_step", chosen.size(0)},
                                      {"outgoing_edges", true},
                                      {"float32_bounds", true}});
  const int64_t nodes = x.size(0);
  const Tensor h = torch::zeros({nodes, z2.size(1)}, torch::kDouble).index_copy(0, chosen, z2);
  LossInput input;
  input.z = {h, h, h};
  input.h = input.z;
  input.index = torch::arange(nodes);
  input.ranks = foil::World::single();
  input.weights = {{"encoder.conv1.weight", w1},
                   {"encoder.conv1.bias", b1},
                   {"encoder.conv2.weight", w2},
                   {"encoder.conv2.bias", b2},
                   {"encoder.activation.weight", slope}};
  for (const char* ends : {"in.edge_index_aug", "in.edge_index_aug", "in.edge_index"}) {
    foil::View view;
    view.modality = "graph";
    view.kind = foil::Kind::graph;
    view.data = x;
    view.edges.ends = in.at(ends);
    input.views.push_back(view);
  }
  const Tensor order = torch::arange(chosen.size(0), torch::kFloat) / static_cast<double>(2 * nodes);
  input.preset("nodes", torch::ones({nodes}).index_copy(0, chosen, order).unsqueeze(1));
  const Tensor value = (*loss)(input);
  const std::vector<Tensor> leaves{x, z2, w1, b1, w2, b2}, by = torch::autograd::grad({value}, leaves);
  Tensors all = parts(test, {w1.detach(), b1.detach(), w2.detach(), b2.detach(), slope.reshape({})});
  all.merge(Tensors{{"out.loss", value.detach()},
                    {"grad.x", by[0]},
                    {"grad.z2", by[1]},
                    {"grad.w1", by[2]},
                    {"grad.b1", by[3]},
                    {"grad.w2", by[4]},
                    {"grad.b2", by[5]}});
  return all;
}

const Register of_bounds("pot-bounds", {"pot", bounds});
const Register of_pot("pot", {"pot", pot});

}  // namespace
