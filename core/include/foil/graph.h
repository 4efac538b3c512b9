// SPDX-License-Identifier: BSD-3-Clause
// What encoders, augmentations and losses of graphs share: normalised edges, and sums over neighbours.
#pragma once

#include <foil/view.h>

namespace foil {

// The edges of D^-1/2 (A + I) D^-1/2 as weights: a self loop is added to each node that has none, one that is
// there counts once with weight 1, and D is the sum of the weights of the edges that go to a node, its loop
// included (Kipf and Welling, "Semi-supervised classification with graph convolutional networks", ICLR 2017,
// equation 2). The loops come last; without ids. Throws Error (Exit::failure) for an end that is no node.
FOIL_API Edges gcn_norm(const Edges& edges, int64_t nodes);

// A matrix [nodes, nodes] of edges, made once and used for several products, as by the layers of an encoder.
class FOIL_API Propagation {
 public:
  // Entry [to, from] is the weight of an edge; those of equal ends add up. Weights are constants. Throws
  // Error (Exit::failure) for an end that is no node.
  Propagation(const Edges& edges, int64_t nodes, at::ScalarType type);
  // For each node the weighted sum of x [nodes, F] over the edges that go to it: [nodes, F], with gradient to
  // x. On the device of the edges.
  Tensor operator()(const Tensor& x) const;

 private:
  Tensor forward_, backward_;  // CSR: the matrix and its transpose
};

// x W^T for features x [nodes, F], dense or in CSR layout, and a weight W [out, F]: [nodes, out]. Gradient
// flows to W, and to x where it is dense.
FOIL_API Tensor node_linear(const Tensor& x, const Tensor& weight);

}  // namespace foil
