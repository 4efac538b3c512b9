// SPDX-License-Identifier: BSD-3-Clause
// The strength of each node's community, its share of the modularity, handed on as the last column of
// View::params [nodes, 1] for the loss `csgcl` (Chen et al., "CSGCL: community-strength-enhanced graph
// contrastive learning", IJCAI 2023, equation 1). The communities are those of the data set's graph, found
// once by Leiden's algorithm. Nothing is drawn and the view is else unchanged. The loss reads the first
// column, so that it belongs in front of what else hands something on. Formula: graph_weights.h.
//
//   [[augment]]
//   name = "community_strength"
#include "communities.h"
#include "graph_view.h"
#include "graph_weights.h"

#include <foil/plugin.h>

namespace {
using foil::Tensor;

class CommunityStrength final : public foil::Augmentation {
 public:
  struct Options {
    void describe(foil::Fields&) {}
  };
  explicit CommunityStrength(Options) {}

  std::vector<foil::Kind> kinds() const override { return {foil::Kind::graph}; }
  foil::Shape shape_after(const foil::Shape& before) const override {
    return foil::augment::require_nodes("community_strength", before);
  }

  void setup(const foil::Dataset& data) override {
    const foil::View graph = foil::augment::graph_of("community_strength", data);
    const Tensor community = foil::augment::communities(graph.edges.ends, graph.size());
    strength_ = foil::augment::community_strength(graph.edges.ends, community)
                    .index_select(0, community)
                    .to(at::kFloat)
                    .unsqueeze(1);
  }

  foil::View apply(const foil::View& view, const foil::AugmentContext&) override {
    foil::augment::require_graph("community_strength", view);
    if (!strength_.defined()) foil::fail(foil::Exit::failure, "community_strength: setup() was not called.");
    if (view.size() != strength_.size(0))
      foil::fail(foil::Exit::usage, "community_strength got ", view.data.sizes(), ", allowed: the ",
                 strength_.size(0), " nodes of the data set.");
    return foil::augment::with_params(view, strength_);
  }

 private:
  Tensor strength_;  // [nodes, 1]
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.augmentation<CommunityStrength>("community_strength"); }
