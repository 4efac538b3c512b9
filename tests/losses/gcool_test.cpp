// SPDX-License-Identifier: BSD-3-Clause
#include "losses/gcool.cpp"

#include "tests/support/loss_steps.h"

namespace {

using Options = GCooL::Options;

std::shared_ptr<GCooL> gcool(const Options& options, int64_t width) {
  torch::manual_seed(3);
  const auto loss = std::make_shared<GCooL>(options);
  loss->setup({.z_dim = width});
  loss->to(torch::kDouble);
  return loss;
}

// Two graphs of 7 nodes, node 5 without an edge, one edge of the first twice, one loop in the second.
std::vector<Tensor> graphs() {
  return {torch::tensor({0, 1, 1, 2, 3, 6, 4, 0, 1, 1, 0, 2, 1, 6, 3, 2, 6, 0}, torch::kLong).view({2, 9}),
          torch::tensor({0, 2, 3, 4, 4, 6, 2, 0, 4, 4, 3, 1}, torch::kLong).view({2, 6})};
}

LossInput input_at(int64_t epoch, const std::vector<Tensor>& z) {
  LossInput input = foil::input_of(z);
  for (const Tensor& ends : graphs()) {
    foil::View view;
    view.edges.ends = ends;
    input.views.push_back(view);
  }
  input.epoch = epoch;
  return input;
}

// s as the paper has it, with nothing left out.
Tensor similarity(const Options& o, const Tensor& a, const Tensor& b) {
  if (o.similarity == GCooL::Similarity::dot) return torch::matmul(a, b.t()) / o.temperature;
  return -(a.unsqueeze(1) - b).square().sum(2) / (o.temperature * o.temperature);
}

Tensor assigned(const Options& o, const Tensor& z, const Tensor& centres) {
  const Tensor s = similarity(o, z, foil::unit(centres)).exp();
  return s / s.sum(1, true);
}

double slow_density(const Options& o, const Tensor& share, const Tensor& ends) {
  const int64_t n = share.size(0);
  Tensor adjacency = torch::zeros({n, n}, torch::kDouble);
  for (int64_t e = 0; e < ends.size(1); ++e)
    adjacency[ends[0][e].item<int64_t>()][ends[1][e].item<int64_t>()] = 1;
  const Tensor between = torch::matmul(torch::matmul(share.t(), adjacency), share);
  const double pairs = static_cast<double>(n * (n - 1)), lambda = o.between_weight;
  return (lambda * between.sum() - (static_cast<double>(n - 1) + lambda) * between.trace()).item<double>() /
             pairs +
         torch::matmul(share.t(), share).trace().item<double>() / static_cast<double>(2 * n);
}

double slow_nodes(const Options& o, const Tensor& a, const Tensor& b) {
  return -(torch::matmul(a, b.t()) / o.temperature).log_softmax(1).diag().mean().item<double>();
}

double slow_communities(const Options& o, const Tensor& anchors, const Tensor& z, const Tensor& share) {
  const int64_t n = z.size(0), k = share.size(1);
  const Tensor of = share.argmax(1);
  Tensor mean = torch::zeros({k, z.size(1)}, torch::kDouble);
  for (int64_t c = 0; c < k; ++c)
    if ((of == c).any().item<bool>()) mean[c] = z.index_select(0, (of == c).nonzero().squeeze(1)).mean(0);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t own = of[i].item<int64_t>();
    const Tensor e = similarity(o, anchors[i].unsqueeze(0), mean).squeeze(0).exp();
    double all = 0;
    for (int64_t c = 0; c < k; ++c)
      all += std::exp(-o.community_decay * (mean[own] - mean[c]).square().sum().item<double>()) *
             e[c].item<double>();
    sum -= std::log(e[own].item<double>() / all);
  }
  return sum / static_cast<double>(n);
}

void expect_slow(const Options& o) {
  const auto z = foil::unit_views(2, 7, 5);
  const auto loss = gcool(o, 5);
  torch::NoGradGuard no_grad;
  const Tensor centres = loss->named_parameters()["centres"];
  const Tensor share[] = {assigned(o, z[0], centres), assigned(o, z[1], centres)};
  const double density =
      (slow_density(o, share[0], graphs()[0]) + slow_density(o, share[1], graphs()[1])) / 2;
  const double communities =
      (slow_communities(o, z[0], z[1], share[1]) + slow_communities(o, z[1], z[0], share[0])) / 2;
  double nodes = slow_nodes(o, z[0], z[1]);
  if (o.directions == GCooL::Directions::mean) nodes = (nodes + slow_nodes(o, z[1], z[0])) / 2;
  const double strides = 30.0 / static_cast<double>(o.stride_epochs), c = std::exp(-strides);
  const double a = std::max(0.0, 1 - strides / o.communal_share);
  const LossInput input = input_at(30, z);
  EXPECT_NEAR(loss->forward(input).item<double>(), nodes + a * (c * density + (1 - c) * communities), 1e-12);
  EXPECT_NEAR(input.reports().at("density").item<double>(), density, 1e-12);
  EXPECT_NEAR(input.reports().at("communities").item<double>(), communities, 1e-12);
}

TEST(GCooL, EqualsItsFormulaOnDenseMatrices) {
  for (const auto similarity : {GCooL::Similarity::dot, GCooL::Similarity::gaussian})
    for (const auto directions : {GCooL::Directions::mean, GCooL::Directions::first})
      for (const int64_t communities : {1, 3, 12})
        expect_slow({.temperature = 0.4,
                     .communities = communities,
                     .similarity = similarity,
                     .between_weight = 0.7,
                     .community_decay = 0.5,
                     .stride_epochs = 100,
                     .communal_share = 0.6,
                     .directions = directions});
}

TEST(GCooL, EndsAsAContrastOfNodes) {
  const auto z = foil::unit_views(2, 7, 5);
  const Options o{
      .temperature = 0.4, .stride_epochs = 50, .communal_share = 0.2, .directions = GCooL::Directions::first};
  EXPECT_NEAR(gcool(o, 5)->forward(input_at(10, z)).item<double>(), slow_nodes(o, z[0], z[1]), 1e-12);
}

TEST(GCooL, TheDensityTeachesTheCentresAlone) {
  auto z = foil::unit_views(2, 7, 5);
  for (Tensor& view : z) view.requires_grad_();
  const auto loss = gcool({.temperature = 0.4}, 5);
  loss->forward(input_at(0, z)).backward();  // epoch 0: nodes and density
  auto alone = foil::unit_views(2, 7, 5);
  for (Tensor& view : alone) view.requires_grad_();
  gcool({.temperature = 0.4, .stride_epochs = 1}, 5)->forward(input_at(10, alone)).backward();
  for (size_t v = 0; v < 2; ++v) EXPECT_TRUE(torch::allclose(z[v].grad(), alone[v].grad(), 1e-12, 1e-15));
  EXPECT_GT(loss->named_parameters()["centres"].grad().abs().max().item<double>(), 1e-4);
}

}  // namespace
