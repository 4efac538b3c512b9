// SPDX-License-Identifier: BSD-3-Clause
#include "losses/hcl.cpp"

#include "tests/support/loss_steps.h"

namespace {

// The sums as the paper writes them.
double slow(const std::vector<Tensor>& z, const HCL::Options& o) {
  const int64_t n = z[0].size(0);
  const double count = static_cast<double>(2 * n - 2);
  double sum = 0;
  for (int v = 0; v < 2; ++v) {
    for (int64_t i = 0; i < n; ++i) {
      double plain = 0, weights = 0, weighted = 0;
      for (const Tensor& view : z) {
        for (int64_t j = 0; j < n; ++j) {
          if (j == i) continue;
          const double e = std::exp(foil::dot(z[v][i], view[j]) / o.temperature),
                       w = std::pow(e, o.concentration);
          plain += e;
          weights += w;
          weighted += w * e;
        }
      }
      const double positive = std::exp(foil::dot(z[0][i], z[1][i]) / o.temperature);
      const double debiased =
          (weighted / (weights / count) - o.positive_prior * count * positive) / (1 - o.positive_prior);
      const double g = o.estimator == HCL::Estimator::easy
                           ? plain
                           : std::max(debiased, count * std::exp(-1 / o.temperature));
      sum -= std::log(positive / (positive + g));
    }
  }
  return sum / static_cast<double>(2 * n);
}

Tensor forward(const std::vector<Tensor>& z, const HCL::Options& options) {
  return std::make_shared<HCL>(options)->forward(foil::input_of(z));
}

TEST(HCL, EqualsTheLoopOverAllNegatives) {
  const auto z = foil::unit_views(2, 7, 5);
  for (const double prior : {0.0, 0.1}) {
    for (const double concentration : {0.0, 0.5, 2.0}) {
      const HCL::Options options{.temperature = 0.4, .positive_prior = prior, .concentration = concentration};
      EXPECT_NEAR(forward(z, options).item<double>(), slow(z, options), 1e-12)
          << prior << " " << concentration;
    }
  }
  const HCL::Options easy{.estimator = HCL::Estimator::easy};
  EXPECT_NEAR(forward(z, easy).item<double>(), slow(z, easy), 1e-12);
}

TEST(HCL, HoldsTheFloorWherePositivesOutweighNegatives) {
  // Aligned pairs, negatives at cosine 0: R = M < positive_prior M exp(1/temperature), so G is its floor.
  const std::vector<Tensor> z(2, torch::eye(4, torch::kDouble));
  const HCL::Options options{.temperature = 0.2, .positive_prior = 0.1, .concentration = 1};
  EXPECT_NEAR(forward(z, options).item<double>(), slow(z, options), 1e-12);
  EXPECT_NEAR(forward(z, options).item<double>(), std::log1p(6 * std::exp(-10.0)), 1e-12);
}

}  // namespace
