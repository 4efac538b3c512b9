// SPDX-License-Identifier: BSD-3-Clause
// What tells the edges and features that matter from those that may be dropped more often: the choice that
// drop_edge and mask_feature have in common.
#pragma once

#include "communities.h"
#include "graph_weights.h"

#include <foil/plugin.h>

namespace foil::augment {

enum class Adaptive { no, degree, pagerank, eigenvector, community };

inline void describe_adaptive(Fields& f, Adaptive& adaptive, double& threshold) {
  f.choice(
      "adaptive", adaptive,
      {{"no", Adaptive::no},
       {"degree", Adaptive::degree},
       {"pagerank", Adaptive::pagerank},
       {"eigenvector", Adaptive::eigenvector},
       {"community", Adaptive::community}},
      "what matters less is dropped more often: by the centrality of its nodes (GCA), or by the strength "
      "of their communities (CSGCL)");
  f.number("threshold", threshold, "with adaptive: the highest probability of being dropped", between(0, 1));
}

// The centrality of each node, [nodes], positive for a node with neighbours; the choice is one of GCA's.
inline Tensor centrality(Adaptive adaptive, const Tensor& ends, int64_t nodes, int64_t pagerank_steps) {
  if (adaptive == Adaptive::degree) return degree(ends, nodes);
  if (adaptive == Adaptive::pagerank) return pagerank(ends, nodes, pagerank_steps);
  return eigenvector_centrality(ends, nodes) + 1e-8;  // as the published code: of a part apart it is 0
}

}  // namespace foil::augment
