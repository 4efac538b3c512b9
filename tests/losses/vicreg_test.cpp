// SPDX-License-Identifier: BSD-3-Clause
#include "losses/vicreg.cpp"

#include "tests/support/loss_steps.h"

namespace {

// Some features spread by more than 1, some by less, so that the hinge has both sides.
std::vector<Tensor> raw_views(int64_t n, int64_t d) {
  auto z = foil::unit_views(2, n, d);
  const Tensor spread = torch::linspace(0.5, 4, d, torch::kDouble);
  return {z[0] * spread + 0.5, z[1] * spread - 0.2};
}

// The three terms, entry by entry.
double slow(const std::vector<Tensor>& z, const VICReg::Options& o) {
  const int64_t n = z[0].size(0), width = z[0].size(1);
  const double d = static_cast<double>(width);
  double invariance = 0, variance = 0, covariance = 0;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t k = 0; k < width; ++k) {
      invariance += std::pow((z[0][i][k] - z[1][i][k]).item<double>(), 2) / (static_cast<double>(n) * d);
    }
  }
  for (const Tensor& view : z) {
    const auto centred = [&](int64_t k) { return view.select(1, k) - view.select(1, k).mean(); };
    for (int64_t k = 0; k < width; ++k) {
      for (int64_t l = 0; l < width; ++l) {
        const double c = foil::dot(centred(k), centred(l)) / static_cast<double>(n - 1);
        if (k == l) variance += std::max(0.0, 1 - std::sqrt(c + o.epsilon)) / (2 * d);
        if (k != l) covariance += c * c / d;
      }
    }
  }
  return o.invariance_weight * invariance + o.variance_weight * variance + o.covariance_weight * covariance;
}

Tensor forward(const std::vector<Tensor>& z, const VICReg::Options& options) {
  return std::make_shared<VICReg>(options)->forward(foil::input_of(z));
}

VICReg::Options odd() {
  return {.invariance_weight = 2, .variance_weight = 3, .covariance_weight = 5, .epsilon = 1e-2};
}

TEST(VICReg, EqualsTheLoopOverFeatures) {
  EXPECT_NEAR(forward(raw_views(7, 5), {}).item<double>(), slow(raw_views(7, 5), {}), 1e-11);
  EXPECT_NEAR(forward(raw_views(7, 5), odd()).item<double>(), slow(raw_views(7, 5), odd()), 1e-12);
}

TEST(VICReg, WithoutVarianceOnlyTheHingeRemains) {
  const auto row = foil::unit_views(1, 1, 4)[0];
  for (const Tensor& z : {row, row.expand({5, 4})}) {
    EXPECT_NEAR(forward({z, z}, {}).item<double>(), 25 * (1 - std::sqrt(1e-4)), 1e-12);
  }
}

}  // namespace
