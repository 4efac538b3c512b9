// SPDX-License-Identifier: BSD-3-Clause
#include "losses/infonce.cpp"

#include "ranks/world.h"

#include <gtest/gtest.h>
#include <torch/types.h>

namespace {

// -log of the softmax share of each positive among all but the anchor itself, pair by pair, as the paper writes it.
double slow_infonce(const std::vector<Tensor>& z, double temperature) {
  const int64_t views = static_cast<int64_t>(z.size()), n = z[0].size(0);
  const auto s = [&](int64_t v, int64_t b, int64_t u, int64_t c) { return (z[v][b] * z[u][c]).sum().item<double>() / temperature; };
  double sum = 0;
  for (int64_t v = 0; v < views; ++v) {
    for (int64_t b = 0; b < n; ++b) {
      double denominator = 0;
      for (int64_t u = 0; u < views; ++u) {
        for (int64_t c = 0; c < n; ++c) {
          if (u != v || c != b) denominator += std::exp(s(v, b, u, c));
        }
      }
      for (int64_t u = 0; u < views; ++u) {
        if (u != v) sum += std::log(denominator) - s(v, b, u, b);
      }
    }
  }
  return sum / static_cast<double>(views * n * (views - 1));
}

std::vector<Tensor> unit_views(int64_t views, int64_t n, int64_t d) {
  torch::manual_seed(3);
  std::vector<Tensor> z;
  for (int64_t v = 0; v < views; ++v) {
    const Tensor x = torch::randn({n, d}, torch::kDouble);
    z.push_back(x / x.norm(2, {1}, true));
  }
  return z;
}

std::shared_ptr<foil::Loss> infonce(double temperature) {
  InfoNCE::Options options;
  options.temperature = temperature;
  return std::make_shared<InfoNCE>(options);
}

Tensor forward(const std::vector<Tensor>& z, double temperature) {
  LossInput input;
  input.z = z;
  input.index = torch::arange(z[0].size(0));
  input.ranks = foil::World::single();
  return infonce(temperature)->forward(input);
}

TEST(InfoNCE, EqualsTheLoopOverAllPairs) {
  for (int64_t views : {2, 3}) {
    const auto z = unit_views(views, 7, 5);
    EXPECT_NEAR(forward(z, 0.3).item<double>(), slow_infonce(z, 0.3), 1e-12) << views << " views";
  }
}

TEST(InfoNCE, StaysFiniteForEqualEmbeddingsAndATinyTemperature) {
  auto z = unit_views(2, 6, 4);
  for (Tensor& view : z) view = z[0][0].expand({6, 4}).clone().to(torch::kFloat).requires_grad_();
  const Tensor value = forward(z, 0.001);
  value.backward();
  EXPECT_NEAR(value.item<double>(), std::log(11.0), 1e-3);
  EXPECT_TRUE(z[0].grad().isfinite().all().item<bool>());
}

TEST(InfoNCE, KeepsTheGradientOfAlignedPairsInFloat) {
  // Positives at cosine 1, negatives at 0, temperature 0.05: the loss is 2 exp(-20); LSE - s_pos in float would give 0.
  std::vector<Tensor> z(2);
  for (Tensor& view : z) view = torch::eye(3, torch::kFloat).requires_grad_();
  const Tensor value = forward(z, 0.05);
  EXPECT_NEAR(value.item<double>() / (4 * std::exp(-20.0)), 1, 1e-5);
}

TEST(InfoNCE, OneSampleHasNothingToTellApart) {
  auto z = unit_views(2, 1, 4);
  for (Tensor& view : z) view.requires_grad_();
  const Tensor value = forward(z, 0.1);
  value.backward();
  EXPECT_EQ(value.item<double>(), 0);
  EXPECT_EQ(z[0].grad().abs().max().item<double>(), 0);
}

}  // namespace
