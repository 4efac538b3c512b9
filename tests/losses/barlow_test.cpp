// SPDX-License-Identifier: BSD-3-Clause
#include "losses/barlow.cpp"

#include "tests/support/loss_steps.h"

namespace {

// Not of unit norm: the loss takes z as it is.
std::vector<Tensor> raw_views(int64_t n, int64_t d) {
  auto z = foil::unit_views(2, n, d);
  return {3 * z[0] + 0.5, 3 * z[1] - 0.2};
}

using Standardisation = BarlowTwins::Standardisation;

// What a centred column is divided by.
double divisor(const Tensor& centred, const BarlowTwins::Options& o) {
  const double squares = centred.square().sum().item<double>(), n = static_cast<double>(centred.size(0));
  if (o.standardisation == Standardisation::variance) return std::sqrt(squares / n + o.epsilon);
  return std::sqrt(squares / (n - 1)) + o.epsilon;
}

// Equations (1) and (2), feature by feature.
double slow(const std::vector<Tensor>& z, const BarlowTwins::Options& o) {
  const int64_t n = z[0].size(0), width = z[0].size(1);
  std::vector<Tensor> standard;
  for (const Tensor& view : z) {
    Tensor s = view.clone();
    for (int64_t d = 0; d < width && o.standardisation != Standardisation::none; ++d) {
      const Tensor centred = view.select(1, d) - view.select(1, d).mean();
      s.select(1, d).copy_(centred / divisor(centred, o));
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
  for (const Standardisation standardisation : {Standardisation::deviation, Standardisation::none}) {
    BarlowTwins::Options options = odd();
    options.standardisation = standardisation;
    EXPECT_NEAR(forward(raw_views(7, 5), options).item<double>(), slow(raw_views(7, 5), options), 1e-12);
  }
}

TEST(BarlowTwins, WithoutVarianceNothingCorrelates) {
  const auto row = foil::unit_views(1, 1, 4)[0];
  for (const Tensor& z : {row, row.expand({5, 4})}) {
    EXPECT_NEAR(forward({z, z}, {}).item<double>(), 4, 1e-12);
  }
}

}  // namespace
