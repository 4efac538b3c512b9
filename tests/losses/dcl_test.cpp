// SPDX-License-Identifier: BSD-3-Clause
#include "losses/dcl.cpp"

#include "tests/support/loss_steps.h"

namespace {

// One direction as the paper writes it, sample by sample; sigma = 0: without the von Mises-Fisher weight.
double slow_direction(const Tensor& a, const Tensor& b, double temperature, double sigma) {
  const int64_t n = a.size(0);
  double shares = 0;
  for (int64_t i = 0; i < n && sigma > 0; ++i) shares += std::exp(foil::dot(a[i], b[i]) / sigma);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    double negatives = 0;
    for (int64_t j = 0; j < n; ++j) {
      if (j != i)
        negatives +=
            std::exp(foil::dot(a[i], a[j]) / temperature) + std::exp(foil::dot(a[i], b[j]) / temperature);
    }
    const double weight =
        sigma > 0 ? 2 - static_cast<double>(n) * std::exp(foil::dot(a[i], b[i]) / sigma) / shares : 1;
    sum += std::log(negatives) - weight * foil::dot(a[i], b[i]) / temperature;
  }
  return sum / static_cast<double>(n);
}

Tensor forward(const std::vector<Tensor>& z, const DCL::Options& options) {
  return std::make_shared<DCL>(options)->forward(foil::input_of(z));
}

DCL::Options weighted() {
  DCL::Options options;
  options.temperature = 0.2;
  options.weighting = DCL::Weighting::von_mises_fisher;
  return options;
}

TEST(DCL, EqualsTheLoopOverAllPairs) {
  const auto z = foil::unit_views(2, 7, 5);
  DCL::Options options;
  const double sum = slow_direction(z[0], z[1], 0.1, 0) + slow_direction(z[1], z[0], 0.1, 0);
  EXPECT_NEAR(forward(z, options).item<double>(), sum / 2, 1e-12);
  options.directions = DCL::Directions::sum;
  EXPECT_NEAR(forward(z, options).item<double>(), sum, 1e-12);
}

TEST(DCL, WeightedEqualsTheLoopOverAllPairs) {
  const auto z = foil::unit_views(2, 7, 5);
  const double sum = slow_direction(z[0], z[1], 0.2, 0.5) + slow_direction(z[1], z[0], 0.2, 0.5);
  EXPECT_NEAR(forward(z, weighted()).item<double>(), sum / 2, 1e-12);
}

TEST(DCL, AdditiveMaskLeaksOnlyAtTinyTemperatures) {
  const auto z = foil::unit_views(2, 6, 4);
  DCL::Options exact, additive;
  additive.mask = DCL::Mask::additive;
  EXPECT_NEAR(forward(z, exact).item<double>(), forward(z, additive).item<double>(), 1e-12);
  exact.temperature = additive.temperature = 0.005;
  EXPECT_GT((forward(z, additive) - forward(z, exact)).item<double>(), 0.5);
}

}  // namespace
