// SPDX-License-Identifier: BSD-3-Clause
#include "losses/barlow.cpp"

#include "tests/support/loss_steps.h"

namespace {

// Not of unit norm: the loss takes z as it is.
std::vector<Tensor> raw_views(int64_t n, int64_t d) {
  auto z = foil::unit_views(2, n, d);
  return {3 * z[0] + 0.5, 3 * z[1] - 0.2};
}

// Equations (1) and (2), feature by feature.
double slow(const std::vector<Tensor>& z, const BarlowTwins::Options& o) {
  const int64_t n = z[0].size(0), width = z[0].size(1);
  std::vector<Tensor> standard;
  for (const Tensor& view : z) {
    Tensor s = view.clone();
    for (int64_t d = 0; d < width; ++d) {
      const double mean = view.select(1, d).mean().item<double>();
      const double variance = (view.select(1, d) - mean).square().mean().item<double>();
      s.select(1, d).copy_((view.select(1, d) - mean) / std::sqrt(variance + o.epsilon));
    }
    standard.push_back(s);
  }
  double sum = 0;
  for (int64_t d = 0; d < width; ++d) {
    for (int64_t e = 0; e < width; ++e) {
      const double c = foil::dot(standard[0].select(1, d), standard[1].select(1, e)) / static_cast<double>(n);
      sum += d == e ? (c - 1) * (c - 1) : o.off_diagonal_weight * c * c;
    }
  }
  return o.scale * sum;
}

Tensor forward(const std::vector<Tensor>& z, const BarlowTwins::Options& options) {
  return std::make_shared<BarlowTwins>(options)->forward(foil::input_of(z));
}

BarlowTwins::Options odd() { return {.off_diagonal_weight = 0.3, .scale = 0.7, .epsilon = 1e-3}; }

TEST(BarlowTwins, EqualsTheLoopOverFeatures) {
  EXPECT_NEAR(forward(raw_views(7, 5), {}).item<double>(), slow(raw_views(7, 5), {}), 1e-12);
  EXPECT_NEAR(forward(raw_views(7, 5), odd()).item<double>(), slow(raw_views(7, 5), odd()), 1e-12);
}

TEST(BarlowTwins, WithoutVarianceNothingCorrelates) {
  const auto row = foil::unit_views(1, 1, 4)[0];
  for (const Tensor& z : {row, row.expand({5, 4})}) {
    EXPECT_NEAR(forward({z, z}, {}).item<double>(), 4, 1e-12);
  }
}

}  // namespace
