// SPDX-License-Identifier: BSD-3-Clause
#include "losses/align_uniform.cpp"

#include "tests/support/loss_steps.h"

namespace {

// The paper's two terms, pair by pair.
double slow(const std::vector<Tensor>& z, const AlignUniform::Options& o) {
  const int64_t n = z[0].size(0);
  double align = 0, uniform = 0;
  for (int64_t i = 0; i < n; ++i)
    align += std::pow((z[0][i] - z[1][i]).norm().item<double>(), o.alignment_power);
  for (const Tensor& x : z) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < i; ++j)
        sum += std::exp(-o.uniformity_scale * std::pow((x[i] - x[j]).norm().item<double>(), 2));
    }
    uniform += std::log(sum / (static_cast<double>(n * (n - 1)) / 2)) / 2;
  }
  return o.alignment_weight * align / static_cast<double>(n) + o.uniformity_weight * uniform;
}

Tensor forward(const std::vector<Tensor>& z, const AlignUniform::Options& options) {
  return std::make_shared<AlignUniform>(options)->forward(foil::input_of(z));
}

AlignUniform::Options odd() {
  return {.alignment_weight = 3, .uniformity_weight = 0.7, .alignment_power = 1.5, .uniformity_scale = 3};
}

TEST(AlignUniform, EqualsTheLoopOverAllPairs) {
  const auto z = foil::unit_views(2, 7, 5);
  EXPECT_NEAR(forward(z, {}).item<double>(), slow(z, {}), 1e-12);
  EXPECT_NEAR(forward(z, odd()).item<double>(), slow(z, odd()), 1e-12);
}

TEST(AlignUniform, OneSampleHasAlignmentOnly) {
  const auto z = foil::unit_views(2, 1, 4);
  EXPECT_NEAR(forward(z, {}).item<double>(), (z[0] - z[1]).square().sum().item<double>(), 1e-12);
}

TEST(AlignUniform, EqualEmbeddingsHaveZeroLossAndNoGradient) {
  std::vector<Tensor> z;
  for (int v = 0; v < 2; ++v)
    z.push_back(foil::unit_views(1, 1, 4)[0].expand({5, 4}).clone().requires_grad_());
  AlignUniform::Options distance;
  distance.alignment_power = 1;
  const Tensor value = forward(z, distance);
  value.backward();
  EXPECT_NEAR(value.item<double>(), 0, 1e-15);
  EXPECT_LE(z[0].grad().abs().max().item<double>(), 1e-15);
}

}  // namespace
