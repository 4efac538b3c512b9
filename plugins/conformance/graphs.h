// SPDX-License-Identifier: BSD-3-Clause
// Tiny graphs, on which losses, encoders and augmentations of graphs are tried, and weights for the losses
// that ask for those of an encoder.
#pragma once

#include "findings.h"

#include <foil/view.h>

namespace foil::conformance {

constexpr int64_t kNodeFeatures = 8;  // the width of x
constexpr int64_t kIsolated = 5;      // this node has no edge

// A view of a graph, in fp64 with numbers that fp32 holds: features x [nodes, 8] in [0, 1), many of them 0,
// and edges with ids. `view` 0 has each edge in both directions; the others lack some, each in one direction.
View graph_of(int64_t nodes, uint64_t view);
// The same with x in CSR layout.
View in_csr(View view);
// x as a dense tensor, whatever its layout.
Tensor dense(const Tensor& x);

// The subgraph of these nodes, numbered in this order: x, params, key, and the edges both of whose ends are
// among them, with their ids.
View subgraph(const View& view, const Tensor& nodes);
View without_edges(View view);

// Weights by the names that a loss asks for, as a small encoder has them: the k-th name that ends in "weight"
// is the matrix [out, in] of layer k, from 8 over layers of kHidden to `last`, the k-th that ends in "bias"
// its vector [out]; what else there is, and what is of an activation ("act", "prelu"), is one number. Fp64
// with numbers that fp32 holds; `seed` says which.
constexpr int64_t kHidden = 4;
Tensors weights_of(const std::vector<std::string>& names, int64_t last, uint64_t seed);

}  // namespace foil::conformance
