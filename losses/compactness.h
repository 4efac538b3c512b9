// SPDX-License-Identifier: BSD-3-Clause
// Node compactness: a lower bound of how much closer a node stays to its own row in another view than to the
// rows of the others, over all ways to drop some of the edges of a graph, for a graph convolutional network
// of two layers. Bounds of what goes into the activations, then lines around the activations, taken
// backwards (CROWN: Zhang et al., NeurIPS 2018). The symbols are those of pot.cpp.
#pragma once

#include <foil/graph.h>
#include <foil/plugin.h>

#include <optional>

namespace compactness {

using foil::Tensor;

// Both are constants. `lower` [nodes] is the diagonal of the lower bound, which is 0 elsewhere.
struct AdjacencyBounds {
  foil::Edges upper;  // each of A + I with its bound as weight
  Tensor lower;
};

// Of the entries of D^-1/2 (A + I) D^-1/2 when a node loses at most `drop_rate` of its neighbours, rounded
// half to even, but keeps one where it has any. Edges count 1 in both directions, loops not at all.
// `in_float32` rounds the bounds as published code does.
inline AdjacencyBounds adjacency_bounds(const foil::Edges& edges, int64_t nodes, double drop_rate,
                                        at::ScalarType type, bool in_float32) {
  const Tensor both = torch::cat({edges.ends, edges.ends.flip(0)}, 1);
  const Tensor proper = both.index_select(1, (both[0] != both[1]).nonzero().squeeze(1));
  const Tensor once = std::get<0>(torch::_unique(proper[0] * nodes + proper[1]));
  const Tensor loop = torch::arange(nodes, once.options());
  const Tensor from = torch::cat({once.div(nodes, "floor"), loop}),
               to = torch::cat({once.remainder(nodes), loop});
  const Tensor one = torch::ones({to.size(0)}, to.options().dtype(torch::kDouble));
  const Tensor degree = torch::zeros({nodes}, one.options()).index_add(0, to, one);  // with the loop
  const Tensor dropped = torch::minimum((degree - 2).clamp_min(0), (drop_rate * (degree - 1)).round());
  const Tensor kept = degree - dropped;
  Tensor upper = (kept.index_select(0, from) * kept.index_select(0, to)).rsqrt(), lower = 1 / degree;
  if (in_float32) {
    upper = upper.to(torch::kFloat);
    lower = degree.to(torch::kFloat).rsqrt().square();
  }
  return {{torch::stack({from, to}), upper.to(type), {}}, lower.to(type)};
}

// The entries of D^-1/2 (A + I) D^-1/2, where edges count 1 each.
inline foil::Edges normalised(const foil::Edges& edges, int64_t nodes, at::ScalarType type) {
  const auto options = torch::device(edges.ends.device()).dtype(type);
  return foil::gcn_norm({edges.ends, torch::ones({edges.ends.size(1)}, options), {}}, nodes);
}

// The edges between chosen nodes (int64 [m], each once), which are called by their places among these.
inline foil::Edges among(const foil::Edges& edges, const Tensor& chosen, int64_t nodes) {
  Tensor place = torch::full({nodes}, -1, chosen.options());
  place.index_copy_(0, chosen, torch::arange(chosen.size(0), chosen.options()));
  const Tensor ends = place.index_select(0, edges.ends.flatten()).view_as(edges.ends);
  const Tensor inside = (ends >= 0).all(0).nonzero().squeeze(1);
  return {ends.index_select(1, inside), edges.weight.index_select(0, inside), {}};
}

// The two layers: weights [out, in], biases [out], the activation's slope below 0 [].
struct Layers {
  Tensor weight1, bias1, weight2, bias2, slope;
  Tensor act(const Tensor& x) const { return torch::where(x > 0, x, slope * x); }
};

// What goes into an activation, [m, out], and the two lines around the activation in between: both have the
// same slope; the upper one is slope (x + raise).
struct Relaxed {
  Tensor low, high, slope, raise;
  Relaxed(const Tensor& lower, const Tensor& upper, const Tensor& below) : low(lower), high(upper) {
    const Tensor mixed = (low < 0).logical_and(high > 0), one = torch::ones_like(low);
    const Tensor rise = torch::where(mixed, high - below * low, one);
    slope =
        torch::where(mixed, rise / torch::where(mixed, high - low, one), torch::where(low >= 0, one, below));
    raise = torch::where(mixed, (below - 1) * high * low / rise, torch::zeros_like(low));
  }
};

// The layers' bounds for chosen nodes [m] of a graph, the same for both views.
class BoundedLayers {
 public:
  // x: features of all nodes, dense or CSR. Chosen nodes know the edges between them alone.
  BoundedLayers(const Tensor& x, const foil::Edges& edges, const AdjacencyBounds& bounds,
                const Tensor& chosen, const Layers& all)
      : layers(all), inputs_(foil::node_linear(x, all.weight1)) {
    const int64_t nodes = x.size(0);
    const at::ScalarType type = inputs_.scalar_type();
    const foil::Propagation whole(normalised(edges, nodes, type), nodes, type);
    const Tensor hidden = all.act(whole(inputs_) + all.bias1);  // [nodes, hidden]
    inputs_ = inputs_.index_select(0, chosen);
    const foil::Propagation upper(among(bounds.upper, chosen, nodes), chosen.size(0), type);
    const Tensor lower = bounds.lower.index_select(0, chosen).unsqueeze(1);
    const auto relaxed = [&](const Tensor& y, const Tensor& bias) {  // y [m, out] without its neighbours
      const Tensor plus = (y + y.abs()) / 2, minus = (y - y.abs()) / 2;
      return Relaxed(upper(minus) + lower * plus + bias, upper(plus) + lower * minus + bias, all.slope);
    };
    first.emplace(relaxed(inputs_, all.bias1));
    second.emplace(relaxed(torch::linear(hidden.index_select(0, chosen), all.weight2), all.bias2));
  }

  Layers layers;
  std::optional<Relaxed> first, second;

  // Of unit rows z [m, out] of the other view and a normalised adjacency of the chosen nodes: the lower bound
  // of each node's compactness, [m], and what leads to it.
  struct Score {
    Tensor weight2, weight1, bias2, bias1;  // W~_2 [m, hidden], Lambda_1 [m, hidden], b~ [m]
    Tensor score;                           // [m]
  };
  Score score(const Tensor& z, const foil::Propagation& adjacency) const {
    const double others = static_cast<double>(std::max<int64_t>(z.size(0) - 1, 1));
    const Tensor contrast = (z * static_cast<double>(z.size(0)) - z.sum(0)) / others;  // W_CL
    Score s;
    const auto through = [](const Relaxed& layer, const Tensor& w, const Tensor& bias, Tensor& offset) {
      const Tensor line = layer.slope * w;  // Lambda
      offset = (line * (torch::where(w >= 0, torch::zeros_like(w), layer.raise) + bias)).sum(1);
      return line;
    };
    s.weight2 = torch::matmul(through(*second, contrast, layers.bias2, s.bias2), layers.weight2);
    s.weight1 = through(*first, s.weight2, layers.bias1, s.bias1);
    const Tensor own = (s.weight1 * inputs_).sum(1);  // <x_i, W~_1i>, W~_1 = Lambda_1 W_1
    const auto around = [&](const Tensor& each) { return adjacency(each.unsqueeze(1)).squeeze(1); };
    s.score = around(around(own) + s.bias1) + s.bias2;
    return s;
  }

 private:
  Tensor inputs_;  // X W_1^T of the chosen nodes: [m, hidden]
};

}  // namespace compactness
