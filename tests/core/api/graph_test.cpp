// SPDX-License-Identifier: BSD-3-Clause
// Products with the matrices of a graph against dense ones.
#include <foil/graph.h>

#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/types.h>

namespace foil {
namespace {

// Five nodes: 3 has a loop, 4 is alone, 0 -> 1 is there twice.
Edges five() { return {torch::tensor({{0, 1, 1, 2, 3, 0}, {1, 0, 2, 1, 3, 1}}, torch::kLong), {}, {}}; }

Tensor dense(const Edges& edges, int64_t nodes) {
  Tensor matrix = torch::zeros({nodes, nodes}, torch::kDouble);
  for (int64_t e = 0; e < edges.ends.size(1); ++e)
    matrix[edges.ends[1][e].item<int64_t>()][edges.ends[0][e].item<int64_t>()] +=
        edges.weight.defined() ? edges.weight[e].item<double>() : 1.0;
  return matrix;
}

TEST(GcnNorm, IsThatOfTheDenseMatrixWithOneLoopANode) {
  const Edges edges = five();
  Tensor a = dense(edges, 5);
  a.fill_diagonal_(1);
  const Tensor scale = a.sum(1).rsqrt();  // of the edges that go to a node
  const Tensor want = scale.unsqueeze(1) * a * scale;
  EXPECT_LT((dense(gcn_norm(edges, 5), 5) - want).abs().max().item<double>(), 1e-6) << "weights are fp32";
  EXPECT_EQ(dense(gcn_norm({torch::zeros({2, 0}, torch::kLong), {}, {}}, 2), 2).sum().item<double>(), 2);
}

TEST(GcnNorm, RefusesAnEndThatIsNoNode) {
  try {
    gcn_norm(five(), 3);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "an edge ends in node 3, allowed: 0 to 2");
  }
}

TEST(Propagation, IsTheProductWithTheDenseMatrixWithItsGradient) {
  Edges edges = five();
  edges.weight = torch::rand({6}, torch::kDouble);
  const Tensor x = torch::randn({5, 3}, torch::kDouble).requires_grad_(),
               to = torch::randn({5, 3}, torch::kDouble);
  const Tensor got = Propagation(edges, 5, at::kDouble)(x), want = dense(edges, 5).matmul(x);
  EXPECT_TRUE(torch::allclose(got, want, 1e-14, 1e-14));
  const Tensor got_gradient = torch::autograd::grad({(got * to).sum()}, {x})[0];
  EXPECT_TRUE(torch::allclose(got_gradient, dense(edges, 5).t().matmul(to), 1e-14, 1e-14));
  const Edges none{torch::zeros({2, 0}, torch::kLong), {}, {}};
  EXPECT_EQ(Propagation(none, 5, at::kDouble)(x).abs().sum().item<double>(), 0);
}

TEST(NodeLinear, TakesDenseAndSparseFeaturesAlike) {
  const Tensor x = torch::relu(torch::randn({6, 4}, torch::kDouble));
  const Tensor to = torch::randn({6, 3}, torch::kDouble);
  const Tensor weight = torch::randn({3, 4}, torch::kDouble).requires_grad_();
  const Tensor dense_value = node_linear(x, weight), sparse_value = node_linear(x.to_sparse_csr(), weight);
  EXPECT_TRUE(torch::allclose(dense_value, sparse_value, 1e-14, 1e-14));
  EXPECT_TRUE(torch::allclose(torch::autograd::grad({(dense_value * to).sum()}, {weight})[0],
                              torch::autograd::grad({(sparse_value * to).sum()}, {weight})[0], 1e-13, 1e-13));
}

}  // namespace
}  // namespace foil
