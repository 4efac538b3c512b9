// SPDX-License-Identifier: BSD-3-Clause
// What the tests of losses on the nodes of a graph share: a small graph, and a step on it.
#pragma once

#include "tests/support/loss_steps.h"

namespace foil {

// Seven nodes: edges in one direction and in both, one twice, a self loop, node 5 without any.
inline Edges small_graph() {
  return {
      torch::tensor({{0, 1, 1, 2, 3, 3, 0, 6, 4, 0}, {1, 0, 2, 3, 1, 4, 6, 6, 6, 6}}, torch::kLong), {}, {}};
}

// Of all nodes, in `views` views of the same graph, as the encoders saw them with features x [N, F].
inline LossInput nodes_of(const std::vector<Tensor>& z, const Edges& edges, const Tensor& x = {}) {
  LossInput input = input_of(z);
  input.views.resize(z.size());
  for (View& view : input.views) {
    view.kind = Kind::graph;
    view.data = x.defined() ? x : z[0].detach();
    view.edges = edges;
  }
  return input;
}

// V x [N, D], double, of no particular norm.
inline std::vector<Tensor> raw_views(int64_t views, int64_t n, int64_t d, uint64_t seed = 5) {
  torch::manual_seed(seed);
  std::vector<Tensor> z;
  for (int64_t v = 0; v < views; ++v) z.push_back(torch::randn({n, d}, torch::kDouble));
  return z;
}

// The derivatives of `value` by the leaves.
inline void expect_equal_gradients(const Tensor& ours, const Tensor& theirs,
                                   const std::vector<Tensor>& leaves) {
  EXPECT_NEAR(ours.item<double>(), theirs.item<double>(), 1e-11);
  const auto a = torch::autograd::grad({ours}, leaves), b = torch::autograd::grad({theirs}, leaves);
  for (size_t i = 0; i < leaves.size(); ++i) EXPECT_TRUE(torch::allclose(a[i], b[i], 1e-9, 1e-14)) << i;
}

}  // namespace foil
