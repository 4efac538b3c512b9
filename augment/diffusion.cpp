// SPDX-License-Identifier: BSD-3-Clause
// The edges of a graph replaced by weighted ones between all nodes that a diffusion joins, computed once from
// the data set's graph (Gasteiger et al., "Diffusion improves graph learning", NeurIPS 2019, equation 1).
// With T = D^-1/2 (A + I) D^-1/2 of the graph, where each node has one loop,
//
//   kind = "ppr"      S = alpha sum_k (1 - alpha)^k T^k = alpha (I - (1 - alpha) T)^-1
//   kind = "markov"   S = (T + sum_{k=1..steps} (1 - alpha)^k T^{k+1}) / steps + alpha T
//
// entries below `epsilon` are left out, and of "ppr" what is left is divided by the roots of its sums over
// the edges that go to both ends. "ppr" is the second view of MVGRL (Hassani and Khasahmadi, "Contrastive
// multi-view representation learning on graphs", ICML 2020), alpha = 0.2; "markov", the diffusion of SSGC
// (Zhu and Koniusz, ICLR 2021), is as the library PyGCL has it: SSGC adds alpha I. The edges have no ids. In
// evaluation the graph is as it was. The sum of "ppr" ends where the rest is below 1e-12; memory is that of
// the edges and 256 columns, time that of some hundred products with T for each of them.
//
//   [[augment]]
//   name = "diffusion"
//   views = [1]
#include "graph_view.h"

#include <foil/graph.h>
#include <foil/plugin.h>

#include <cmath>

namespace {
using foil::Tensor;

enum class Diffused { ppr, markov };

// The factor of T^0, T^1, ... in S.
std::vector<double> factors(Diffused kind, double alpha, int64_t steps) {
  std::vector<double> all;
  if (kind == Diffused::ppr) {
    for (double rest = 1; rest > 1e-12; rest *= 1 - alpha) all.push_back(alpha * rest);
    return all;
  }
  const double count = static_cast<double>(steps);
  all = {0, 1 / count + alpha};
  for (int64_t k = 1; k <= steps; ++k) all.push_back(std::pow(1 - alpha, static_cast<double>(k)) / count);
  return all;
}

// sum_k factor_k T^k without entries below epsilon, as edges in the order of (from, to), in fp64.
foil::Edges diffused(const Tensor& ends, int64_t nodes, const std::vector<double>& factor, double epsilon) {
  constexpr int64_t kColumns = 256;
  const foil::Edges t = foil::gcn_norm({ends, at::ones({ends.size(1)}, at::kDouble), {}}, nodes);
  const foil::Propagation propagation(t, nodes, at::kDouble);
  std::vector<Tensor> all_ends, weight;
  for (int64_t begin = 0; begin < nodes; begin += kColumns) {
    const int64_t columns = std::min(kColumns, nodes - begin);
    Tensor y = at::zeros({nodes, columns}, at::kDouble);  // T^k of these columns
    y.narrow(0, begin, columns).fill_diagonal_(1);
    Tensor sum = y * factor[0];
    for (size_t k = 1; k < factor.size(); ++k) {
      y = propagation(y);
      sum.add_(y, factor[k]);
    }
    const Tensor rows = sum.t(), kept = rows.ge(epsilon).nonzero();  // [edges, 2]: from, to
    weight.push_back(rows.index({kept.select(1, 0), kept.select(1, 1)}));
    all_ends.push_back(at::stack({kept.select(1, 0) + begin, kept.select(1, 1)}));
  }
  if (nodes == 0) return {ends, at::ones({ends.size(1)}, at::kDouble), {}};
  return {at::cat(all_ends, 1), at::cat(weight), {}};
}

class Diffusion final : public foil::Augmentation {
 public:
  struct Options {
    Diffused kind = Diffused::ppr;
    double alpha = 0.2;
    double epsilon = 1e-4;
    int64_t steps = 16;
    void describe(foil::Fields& f) {
      f.choice("kind", kind, {{"ppr", Diffused::ppr}, {"markov", Diffused::markov}},
               "the diffusion: personalised PageRank, or a mean of random walks");
      f.number("alpha", alpha, "how much stays where it is; published 0.2 for ppr, 0.05 for markov",
               foil::between(0.01, 0.99));
      f.number("epsilon", epsilon, "the smallest weight of an edge", foil::between(1e-12, 1));
      f.integer("steps", steps, "of markov", foil::between(1, 1000));
    }
  };
  explicit Diffusion(Options options) : options_(options) {}

  std::vector<foil::Kind> kinds() const override { return {foil::Kind::graph}; }
  foil::Shape shape_after(const foil::Shape& before) const override {
    return foil::augment::require_nodes("diffusion", before);
  }

  void setup(const foil::Dataset& data) override {
    const foil::View graph = foil::augment::graph_of("diffusion", data);
    nodes_ = graph.size();
    edges_ = diffused(graph.edges.ends, nodes_, factors(options_.kind, options_.alpha, options_.steps),
                      options_.epsilon);
    if (options_.kind == Diffused::markov) return;
    const Tensor sum = at::zeros({nodes_}, at::kDouble).index_add_(0, edges_.ends[1], edges_.weight);
    const Tensor scale = at::where(sum > 0, sum.rsqrt(), at::zeros_like(sum));
    edges_.weight =
        scale.index_select(0, edges_.ends[0]) * edges_.weight * scale.index_select(0, edges_.ends[1]);
  }

  foil::View apply(const foil::View& view, const foil::AugmentContext&) override {
    foil::augment::require_graph("diffusion", view);
    if (!edges_.ends.defined()) foil::fail(foil::Exit::failure, "diffusion: setup() was not called.");
    if (view.size() != nodes_)
      foil::fail(foil::Exit::usage, "diffusion got ", view.data.sizes(), ", allowed: the ", nodes_,
                 " nodes of the data set.");
    foil::View out = view;
    out.edges = {edges_.ends.to(view.data.device()),
                 edges_.weight.to(view.data.device(), view.data.scalar_type()),
                 {}};
    return out;
  }

 private:
  Options options_;
  foil::Edges edges_;
  int64_t nodes_ = 0;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.augmentation<Diffusion>("diffusion"); }
