// SPDX-License-Identifier: BSD-3-Clause
#include "losses/graphmae.cpp"

#include "tests/losses/node_test.h"
#include "tests/support/error_of.h"

namespace {

LossInput step_of(const Tensor& made, const Tensor& x, const Tensor& params) {
  LossInput input = foil::nodes_of(foil::raw_views(2, made.size(0), 2), foil::small_graph(), x);
  input.views[0].params = params;
  input.views[0].data = torch::zeros_like(input.views[0].data);  // hidden: not what it is compared with
  input.decoded = {made, torch::zeros_like(made)};
  return input;
}

TEST(GraphMAE, IsTheMeanErrorOfTheMaskedNodes) {
  const auto rows = foil::raw_views(2, 7, 5);
  const Tensor& made = rows[0];
  const Tensor x = rows[1].abs();
  const Tensor params = torch::tensor({{0, 9}, {1, 0}, {0, 0}, {2, 0}, {3, 1}, {0, 0}, {0, 0}});
  double scaled = 0, logistic = 0;
  for (const int64_t i : {1, 3, 4}) {
    const double cosine =
        torch::dot(made[i], x[i]).item<double>() / (made[i].norm() * x[i].norm()).item<double>();
    scaled += std::pow(1 - cosine, 2.5) / 3;
    logistic += 1 / (1 + std::exp(cosine)) / 3;
  }
  const LossInput input = step_of(made, x, params);
  EXPECT_NEAR(GraphMAE({.exponent = 2.5}).forward(input).item<double>(), scaled, 1e-12);
  EXPECT_NEAR(GraphMAE({.error = GraphMAE::Error::sigmoid}).forward(input).item<double>(), logistic, 1e-12);
}

TEST(GraphMAE, CountsAllNodesWithoutAMaskAndReadsSparseFeatures) {
  const auto rows = foil::raw_views(2, 7, 5);
  const LossInput all = step_of(rows[0], rows[1], torch::ones({7, 1})), none = step_of(rows[0], rows[1], {});
  LossInput sparse = all;
  sparse.views[1].data = rows[1].to_sparse_csr();
  const double value = GraphMAE({}).forward(all).item<double>();
  EXPECT_EQ(GraphMAE({}).forward(none).item<double>(), value);
  EXPECT_EQ(GraphMAE({}).forward(sparse).item<double>(), value);
}

TEST(GraphMAE, IsZeroWithAFiniteGradientWhereTheDecoderIsRight) {
  const Tensor x = foil::raw_views(1, 7, 5)[0];
  Tensor made = (3 * x).requires_grad_();
  const Tensor value = GraphMAE({.exponent = 1.5}).forward(step_of(made, x, {}));
  EXPECT_LT(value.item<double>(), 1e-12);
  EXPECT_TRUE(torch::autograd::grad({value}, {made})[0].isfinite().all().item<bool>());
}

TEST(GraphMAE, RefusesADecoderOfAnotherWidth) {
  const auto rows = foil::raw_views(1, 7, 5);
  const std::string said =
      foil::test::error_of([&] { GraphMAE({}).forward(step_of(rows[0].slice(1, 0, 3), rows[0], {})); });
  EXPECT_NE(said.find("the decoder gives [7, 3] for nodes with features [7, 5]"), std::string::npos) << said;
}

}  // namespace
