// SPDX-License-Identifier: BSD-3-Clause
// A ring of all nodes but one, with chords; its views; the shapes of weights.
#include "graphs.h"

#include "api/no_warnings.h"
#include "trials.h"

#include <torch/types.h>

#include <algorithm>

namespace foil::conformance {
namespace {

// Numbers in [0, 1) that fp32 holds, in fp64.
Tensor numbers(at::IntArrayRef shape, uint64_t seed) {
  return random_numbers(shape, seed).to(at::kFloat).to(at::kDouble);
}

// Both directions of each edge side by side: int64 [2, E].
Tensor ring_with_chords(int64_t nodes) {
  std::vector<int64_t> on_ring, from, to;
  for (int64_t n = 0; n < nodes; ++n)
    if (n != kIsolated) on_ring.push_back(n);
  const auto connect = [&](int64_t a, int64_t b) {
    from.insert(from.end(), {a, b});
    to.insert(to.end(), {b, a});
  };
  for (size_t k = 0; k < on_ring.size(); ++k) {
    connect(on_ring[k], on_ring[(k + 1) % on_ring.size()]);
    if (k % 3 == 0 && k + 3 < on_ring.size()) connect(on_ring[k], on_ring[k + 3]);
  }
  return torch::stack({torch::tensor(from), torch::tensor(to)});
}

// The edges at these places of the list.
Edges edges_at(const Edges& edges, const Tensor& places) {
  const auto at_places = [&](const Tensor& x, int64_t dim) {
    return x.defined() ? x.index_select(dim, places.to(x.device())) : x;
  };
  return {at_places(edges.ends, 1), at_places(edges.weight, 0), at_places(edges.id, 0)};
}

}  // namespace

View graph_of(int64_t nodes, uint64_t view) {
  View graph;
  graph.modality = name_of(Kind::graph);
  graph.kind = Kind::graph;
  const Tensor x = numbers({nodes, kNodeFeatures}, 40 + view);
  graph.data = torch::where(x < 0.4, torch::zeros_like(x), x);
  const Tensor ends = ring_with_chords(nodes), id = torch::arange(ends.size(1));
  graph.edges = {ends, {}, id};
  if (view > 0)
    graph.edges = edges_at(graph.edges, ((id + 3 * static_cast<int64_t>(view)) % 5).nonzero().squeeze(1));
  return graph;
}

View in_csr(View view) {
  const NoWarnings silent;
  view.data = view.data.to_sparse_csr();
  return view;
}

Tensor dense(const Tensor& x) { return x.layout() == at::kSparseCsr ? x.to_dense() : x; }

View subgraph(const View& view, const Tensor& nodes) {
  View part = view;
  part.data = dense(view.data).index_select(0, nodes.to(view.data.device()));
  if (view.params.defined()) part.params = view.params.index_select(0, nodes.to(view.params.device()));
  if (view.key.defined()) part.key = view.key.index_select(0, nodes);
  const Tensor ends = view.edges.ends.cpu();
  Tensor number = torch::full({view.size()}, -1, at::kLong);  // of each node among `nodes`
  number.index_put_({nodes}, torch::arange(nodes.size(0)));
  const Tensor renamed = number.index_select(0, ends.flatten()).view_as(ends);
  part.edges = edges_at(view.edges, (renamed >= 0).all(0).nonzero().squeeze(1));
  part.edges.ends =
      number.index_select(0, part.edges.ends.cpu().flatten()).view({2, -1}).to(view.edges.ends.device());
  return view.data.layout() == at::kSparseCsr ? in_csr(part) : part;
}

View without_edges(View view) {
  view.edges = edges_at(view.edges, torch::empty({0}, at::kLong));
  return view;
}

Tensors weights_of(const std::vector<std::string>& names, int64_t last, uint64_t seed) {
  const auto is = [](const std::string& name, const char* end) {
    return name.ends_with(end) && name.find("act") == std::string::npos &&
           name.find("prelu") == std::string::npos;
  };
  const int64_t layers =
      std::count_if(names.begin(), names.end(), [&](const auto& n) { return is(n, "weight"); });
  const auto out = [&](int64_t layer) { return layer + 1 < layers ? kHidden : last; };
  Tensors weights;
  int64_t matrices = 0, vectors = 0;
  for (const std::string& name : names) {
    std::vector<int64_t> shape = {1};
    if (is(name, "weight")) {
      shape = {out(matrices), matrices == 0 ? kNodeFeatures : kHidden};
      ++matrices;
    } else if (is(name, "bias")) {
      shape = {out(vectors++)};
    }
    weights[name] = numbers(shape, seed + weights.size()) - 0.4;
  }
  return weights;
}

}  // namespace foil::conformance
