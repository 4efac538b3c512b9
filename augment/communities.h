// SPDX-License-Identifier: BSD-3-Clause
// Communities of a graph by igraph, which stays behind this header.
#pragma once

#include <foil/plugin.h>

namespace foil::augment {

// The community of each node, 0, 1, ..., by Leiden's algorithm for modularity on the undirected graph (Traag
// et al., "From Louvain to Leiden: guaranteeing well-connected communities", Scientific Reports 2019), until
// it changes nothing more. A pure function of the edges: what it draws begins at one seed. Loops and repeated
// edges do not count, a node without edges is a community of its own. `ends`: int64 [2, E] on the CPU.
// Returns int64 [nodes]. Throws Error (Exit::failure) with igraph's words where that fails.
Tensor communities(const Tensor& ends, int64_t nodes);

}  // namespace foil::augment
