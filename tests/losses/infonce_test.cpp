// SPDX-License-Identifier: BSD-3-Clause
#include "losses/infonce.cpp"

#include "tests/support/loss_steps.h"

namespace {

// -log of the softmax share of each positive among all but the anchor itself, pair by pair, as the paper
// writes it.
double slow_infonce(const std::vector<Tensor>& z, double temperature) {
  const int64_t views = static_cast<int64_t>(z.size()), n = z[0].size(0);
  const auto s = [&](int64_t v, int64_t b, int64_t u, int64_t c) {
    return foil::dot(z[v][b], z[u][c]) / temperature;
  };
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

Tensor forward(const std::vector<Tensor>& z, double temperature) {
  return std::make_shared<InfoNCE>(InfoNCE::Options{.temperature = temperature})->forward(foil::input_of(z));
}

TEST(InfoNCE, EqualsTheLoopOverAllPairs) {
  for (int64_t views : {2, 3}) {
    const auto z = foil::unit_views(views, 7, 5);
    EXPECT_NEAR(forward(z, 0.3).item<double>(), slow_infonce(z, 0.3), 1e-12) << views << " views";
  }
}

TEST(InfoNCE, EqualEmbeddingsAreAtChanceWhateverTheTemperature) {
  const std::vector<Tensor> z(2, foil::unit_views(1, 1, 4)[0].expand({6, 4}).to(torch::kFloat));
  EXPECT_NEAR(forward(z, 0.001).item<double>(), std::log(11.0), 1e-3);
}

TEST(InfoNCE, KeepsTheGradientOfAlignedPairsInFloat) {
  // Positives at cosine 1, negatives at 0, temperature 0.05: the loss is 2 exp(-20); LSE - s_pos in float
  // would give 0.
  std::vector<Tensor> z(2);
  for (Tensor& view : z) view = torch::eye(3, torch::kFloat).requires_grad_();
  const Tensor value = forward(z, 0.05);
  EXPECT_NEAR(value.item<double>() / (4 * std::exp(-20.0)), 1, 1e-5);
}

TEST(InfoNCE, OneSampleHasNothingToTellApart) {
  auto z = foil::unit_views(2, 1, 4);
  for (Tensor& view : z) view.requires_grad_();
  const Tensor value = forward(z, 0.1);
  value.backward();
  EXPECT_EQ(value.item<double>(), 0);
  EXPECT_EQ(z[0].grad().abs().max().item<double>(), 0);
}

}  // namespace
