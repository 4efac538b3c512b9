// SPDX-License-Identifier: BSD-3-Clause
// Edges of a graph left out at random, each with `probability`; the two directions of one are drawn apart, as
// in the published code of GRACE (Zhu et al., "Deep graph contrastive representation learning", 2020, section
// 3.2.1) and all that follows it. What an edge is kept by follows it: its place in the data set's graph.
//
// By `adaptive` an edge that matters is dropped less often, its probability being `probability` on average
// and never above `threshold`: GCA (Zhu et al., "Graph contrastive learning with adaptive augmentation", WWW
// 2021, equations 5 and 6) weighs an edge by the logarithm of the centrality of the node that it goes to,
// CSGCL (Chen et al., IJCAI 2023, section 4.1) by the strength of the communities of its ends, which are
// found by Leiden's algorithm. Both are of the data set's graph, computed once. Formulas: graph_weights.h.
// GCA's code has threshold = 0.7, CSGCL's 1.
//
//   [[augment]]
//   name = "drop_edge"
//   probability = 0.3
//   adaptive = "degree"
#include "adaptive.h"
#include "graph_view.h"

#include <foil/plugin.h>

namespace {
using foil::Tensor;
using foil::augment::Adaptive;

class DropEdge final : public foil::Augmentation {
 public:
  struct Options {
    double probability = 0.2;
    Adaptive adaptive = Adaptive::no;
    double threshold = 0.7;
    void describe(foil::Fields& f) {
      f.number("probability", probability, "how often an edge is left out", foil::between(0, 1));
      foil::augment::describe_adaptive(f, adaptive, threshold);
    }
  };
  explicit DropEdge(Options options) : options_(options) {}

  std::vector<foil::Kind> kinds() const override { return {foil::Kind::graph}; }
  foil::Shape shape_after(const foil::Shape& before) const override {
    return foil::augment::require_nodes("drop_edge", before);
  }

  void setup(const foil::Dataset& data) override {
    if (options_.adaptive == Adaptive::no) return;
    const foil::View graph = foil::augment::graph_of("drop_edge", data);
    const Tensor id = foil::augment::ids_of(graph.edges);
    const int64_t ids = id.numel() == 0 ? 0 : id.max().item<int64_t>() + 1;
    dropped_ = at::zeros({ids}, at::kFloat)
                   .index_copy_(0, id, probabilities(graph.edges.ends, graph.size()).to(at::kFloat));
  }

  foil::View apply(const foil::View& view, const foil::AugmentContext& context) override {
    foil::augment::require_graph("drop_edge", view);
    const Tensor id = foil::augment::ids_of(view.edges), draw = context.uniform(id);  // [E]
    const Tensor stays = options_.adaptive == Adaptive::no ? draw.ge(static_cast<float>(options_.probability))
                                                           : draw.ge(probability_of(view.edges));
    const Tensor kept = stays.nonzero().squeeze(1), on_device = kept.to(view.edges.ends.device());
    foil::View out = view;
    out.edges.ends = view.edges.ends.index_select(1, on_device);
    if (view.edges.weight.defined()) out.edges.weight = view.edges.weight.index_select(0, on_device);
    if (view.edges.id.defined()) out.edges.id = id.index_select(0, kept);
    return out;
  }

 private:
  Tensor probabilities(const Tensor& ends, int64_t nodes) const {
    using namespace foil::augment;
    if (options_.adaptive == Adaptive::community) {
      const Tensor community = communities(ends, nodes);
      const Tensor worth = edge_strength(ends, community, community_strength(ends, community));
      return 1 - keep_probability(worth, options_.probability, options_.threshold);
    }
    const Tensor node = centrality(options_.adaptive, ends, nodes, /*pagerank_steps=*/200);
    return drop_probability(log_importance(node).index_select(0, ends[1]), options_.probability,
                            options_.threshold);
  }

  // [E], of the edges that are left of the data set's graph.
  Tensor probability_of(const foil::Edges& edges) const {
    if (!dropped_.defined()) foil::fail(foil::Exit::failure, "drop_edge: setup() was not called.");
    const bool known =
        edges.id.defined() && (edges.id.numel() == 0 || edges.id.max().item<int64_t>() < dropped_.numel());
    if (!known)
      foil::refuse("adaptive", "of a graph that another augmentation made",
                   "the data set's edges, \"no\" for others");
    return dropped_.index_select(0, edges.id);
  }

  Options options_;
  Tensor dropped_;  // [ids], the probability of each edge of the data set's graph, with adaptive
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.augmentation<DropEdge>("drop_edge"); }
