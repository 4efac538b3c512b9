// SPDX-License-Identifier: BSD-3-Clause
// PamC against loops over edges, clusters and pairs of clusters.
#include "losses/pamc.cpp"

#include "tests/losses/node_test.h"

namespace {

using foil::Edges;

constexpr int64_t kNodes = 7;
constexpr double kTemperature = 0.6;

double cosine(const Tensor& a, const Tensor& b) {
  return torch::dot(a, b).item<double>() / (a.norm() * b.norm()).item<double>();
}

// The contrast, given the influences [N, N] and a cluster of each node; -1: of none.
double slow(const Tensor& z, const Tensor& g, const std::vector<int64_t>& cluster) {
  double value = 0;
  for (int64_t i = 0; i < kNodes; ++i) {
    double near = 0;
    for (int64_t j = 0; j < kNodes; ++j)
      near += g[i][j].item<double>() * std::exp(i == j ? 0 : cosine(z[i], z[j]) / kTemperature);
    value -= std::log(near) / static_cast<double>(kNodes);
  }
  std::map<int64_t, Tensor> meta;
  for (int64_t i = 0; i < kNodes; ++i) {
    const int64_t k = cluster[static_cast<size_t>(i)];
    if (k >= 0) meta[k] = meta.count(k) ? meta[k] + z[i] : z[i];
  }
  for (const auto& [k, c] : meta) {
    double away = 0;
    for (const auto& [l, d] : meta) away += std::exp(k == l ? 0 : cosine(c, d) / kTemperature);
    value += std::log(away) / static_cast<double>(meta.size());
  }
  return value;
}

std::shared_ptr<PamC> made(PamC::Partition partition, int64_t clusters) {
  PamC::Options options;
  options.temperature = kTemperature;
  options.influence.order = 2;
  options.clusters.clusters = clusters;
  options.partition = partition;
  torch::manual_seed(3);
  const auto loss = std::make_shared<PamC>(options);
  loss->setup({.z_dim = 4, .classes = 6});
  loss->to(torch::kDouble);
  return loss;
}

Tensor influence_of(const LossInput& input) {
  foil::Influence influence({foil::InfluenceOptions::Kind::cumulative, 2});
  influence(input);
  return influence.matrix().to_dense();
}

TEST(PamC, EqualsTheLoopsOverNeighboursAndClusters) {
  const Tensor z = foil::raw_views(1, kNodes, 4)[0];
  LossInput input = foil::nodes_of({z}, foil::small_graph());
  const auto loss = made(PamC::Partition::clusters, 3);
  std::vector<int64_t> cluster;
  const Tensor nearest = std::get<1>(torch::cdist(z, loss->named_parameters()["centres"]).min(1));
  for (int64_t i = 0; i < kNodes; ++i) cluster.push_back(nearest[i].item<int64_t>());
  EXPECT_NEAR(loss->forward(input).item<double>(), slow(z, influence_of(input), cluster), 1e-12);
  const std::vector<int64_t> label = {2, 0, -1, 2, 4, 0, 2};  // 1, 3 and 5 have no node
  input.label = torch::tensor(label, torch::kLong);
  EXPECT_NEAR(made(PamC::Partition::label, 3)->forward(input).item<double>(),
              slow(z, influence_of(input), label), 1e-12);
}

TEST(PamC, IsFiniteWithEmptyClusters) {
  Tensor z = foil::raw_views(1, kNodes, 4)[0].requires_grad_();
  const LossInput input = foil::nodes_of({z}, foil::small_graph());
  const auto loss = made(PamC::Partition::clusters, 50);
  const Tensor value = loss->forward(input);
  EXPECT_TRUE(std::isfinite(value.item<double>()));
  EXPECT_TRUE(torch::autograd::grad({value}, {z})[0].isfinite().all().item<bool>());
}

}  // namespace
