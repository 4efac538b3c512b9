// SPDX-License-Identifier: BSD-3-Clause
// POT: a regulariser for contrast of nodes by a graph convolutional network of two layers: every node shall
// be compact, closer to its own row in the other view than to those of the others, whichever edges are
// dropped. Yu et al., "Provable training for graph contrastive learning", NeurIPS 2023.
//
//   A^             = D^-1/2 (A + I) D^-1/2 of the graph, A^' of a view; lower <= A^ <= upper, entry by entry,
//                    when a node loses a share drop_rate of its neighbours
//   low_l, high_l  = bounds of what goes into the activation of layer l, by interval arithmetic from
//                    X W_1^T and from act(A^ X W_1^T + b_1) W_2^T
//   slope, raise   = of the lines slope x and slope (x + raise) below and above the activation there
//   W_CL           = (m z_i - sum over j of z_j) / (m - 1), z unit rows of h in the other view, m nodes
//   Lambda_2       = slope_2 W_CL,             b~_2 = <Lambda_2, raise_2 [W_CL < 0] + b_2>
//   Lambda_1       = slope_1 (Lambda_2 W_2),   b~_1 = <Lambda_1, raise_1 [Lambda_2 W_2 < 0] + b_1>
//   score          = A^' ( A^' <Lambda_1 W_1, x> + b~_1 ) + b~_2
//   L              = mean over both views and over nodes of softplus(-score)
//
// The encoder is gcn with two widths, its activation after both layers and no batch norm. Views: two
// augmented ones and, third, the graph as it is: [views] count = 3, and views = [0, 1] for what drops edges.
// The contrast beside it sees the first two. h is what the encoder gives, before any head. Edges count 1
// each. Every rank takes all nodes: each has the whole graph. The matrices of bounds have the pattern of A +
// I, nothing is nodes x nodes.
//
// Of many nodes a step may take nodes_per_step, drawn anew each time; edges to others are then unknown to the
// bounds, which are none in the strict sense, as in published code. That sums in A^' over edges that leave a
// node (outgoing_edges = true), the transpose of what the encoder does, and rounds its bounds to fp32
// (float32_bounds = true). `compact_1` and `compact_2` are reported: the nodes whose score is above 0, of
// all.
//
//   [[loss]]
//   name = "grace"
//   views = [0, 1]
//   weight = 0.6
//   [[loss]]
//   name = "pot"
//   weight = 0.4
#include "compactness.h"

#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

class POT final : public foil::Loss {
 public:
  enum class Activation { relu, prelu };
  struct Options {
    double drop_rate = 0.4;
    Activation activation = Activation::relu;
    int64_t nodes_per_step = 0;
    bool outgoing_edges = false;
    bool float32_bounds = false;
    void describe(foil::Fields& f) {
      f.number("drop_rate", drop_rate, "share of its neighbours that a node may lose", foil::between(0, 1));
      f.choice("activation", activation, {{"relu", Activation::relu}, {"prelu", Activation::prelu}},
               "of the encoder, after both layers");
      f.integer("nodes_per_step", nodes_per_step, "how many nodes are bounded in a step; 0 = all",
                foil::at_least(0));
      // What reproduces published code:
      f.flag("outgoing_edges", outgoing_edges, "a view's edges are summed where they begin");
      f.flag("float32_bounds", float32_bounds, "bounds of the adjacency are rounded to fp32");
    }
  };
  explicit POT(const Options& options) : options_(options) {}

  foil::Needs needs() const override {
    foil::Needs needs{.min_views = 3, .max_views = 3, .features = true, .views = true, .graph = true};
    needs.weights = {"encoder.conv1.weight", "encoder.conv1.bias", "encoder.conv2.weight",
                     "encoder.conv2.bias"};
    if (options_.activation == Activation::prelu) needs.weights.push_back("encoder.activation.weight");
    return needs;
  }

  Tensor forward(const LossInput& input) override {
    const foil::View& graph = input.views.at(2);
    const int64_t nodes = graph.size();
    const Tensor chosen = choose(input, nodes);
    const compactness::Layers layers = layers_of(input);
    const at::ScalarType type = layers.weight1.scalar_type();
    const compactness::AdjacencyBounds bounds =
        compactness::adjacency_bounds(graph.edges, nodes, options_.drop_rate, type, options_.float32_bounds);
    const compactness::BoundedLayers bounded(graph.data, graph.edges, bounds, chosen, layers);
    Tensor sum = torch::zeros({}, layers.weight1.options());
    for (size_t v = 0; v < 2; ++v) {
      const Tensor other = foil::unit(input.gather(input.h.at(1 - v)).index_select(0, chosen));
      foil::Edges edges = compactness::normalised(input.views[v].edges, nodes, type);
      if (options_.outgoing_edges) edges.ends = edges.ends.flip(0);
      const foil::Propagation adjacency(compactness::among(edges, chosen, nodes), chosen.size(0), type);
      const Tensor score = bounded.score(other, adjacency).score;
      input.report("compact_" + std::to_string(v + 1), (score > 0).to(type).mean());
      sum = sum + foil::softplus(-score).mean();
    }
    return sum / 2;
  }

 private:
  // The nodes of this step: int64 [m].
  Tensor choose(const LossInput& input, int64_t nodes) const {
    const Tensor all = torch::arange(nodes, torch::device(input.h.at(0).device()));
    if (options_.nodes_per_step == 0) return all;
    const Tensor draws = input.gather(input.uniform("nodes", 1)).squeeze(1).to(all.device());  // [nodes]
    return std::get<1>(draws.sort(/*stable=*/std::optional<bool>(true), 0))
        .slice(0, 0, options_.nodes_per_step);
  }

  compactness::Layers layers_of(const LossInput& input) const {
    const Tensor w = input.weight("encoder.conv1.weight"), last = input.weight("encoder.conv2.weight");
    if (input.h.at(0).size(1) != last.size(0))
      foil::fail(foil::Exit::failure, "POT: h is ", input.h[0].sizes(),
                 " but the encoder's second layer gives ", last.size(0),
                 " columns, allowed: an encoder of two layers.");
    return {w, input.weight("encoder.conv1.bias"), last, input.weight("encoder.conv2.bias"),
            options_.activation == Activation::prelu ? input.weight("encoder.activation.weight").reshape({})
                                                     : torch::zeros({}, w.options())};
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<POT>("pot",
                   {.samples = {"nodes_per_step = 3", "outgoing_edges = true\nactivation = \"prelu\""}});
}
