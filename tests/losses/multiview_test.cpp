// SPDX-License-Identifier: BSD-3-Clause
#include "losses/multiview.cpp"

#include "tests/support/loss_steps.h"

namespace {

using Aggregation = Multiview::Aggregation;
constexpr double temperature = 0.3;

// -log of the positive's share: row i of a, its positive in b, and the other samples' rows of every candidate
// view.
double cross_entropy(const Tensor& a, const Tensor& b, const std::vector<Tensor>& candidates, int64_t i) {
  const double positive = std::exp(foil::dot(a[i], b[i]) / temperature);
  double sum = positive;
  for (const Tensor& view : candidates) {
    for (int64_t j = 0; j < a.size(0); ++j)
      sum += j == i ? 0 : std::exp(foil::dot(a[i], view[j]) / temperature);
  }
  return -std::log(positive / sum);
}

double slow(const std::vector<Tensor>& z, Aggregation aggregation) {
  const size_t views = z.size();
  const int64_t n = z[0].size(0);
  const double v = static_cast<double>(views), samples = static_cast<double>(n);
  double sum = 0;
  for (size_t l = 0; l < views; ++l) {
    Tensor others = torch::zeros_like(z[0]);
    for (size_t m = 0; m < views; ++m) others += m == l ? torch::zeros_like(z[0]) : z[m] / (v - 1);
    double of_means = 0;  // the published arithmetic: exp of the mean over the batch, summed over targets
    for (size_t m = 0; m < views; ++m) {
      double mean = 0;
      for (int64_t i = 0; i < n && m != l; ++i) {
        if (aggregation == Aggregation::pairwise)
          sum += cross_entropy(z[l], z[m], {z[l], z[m]}, i) / (samples * v * (v - 1));
        if (aggregation == Aggregation::geometric)
          sum += cross_entropy(z[l], z[m], z, i) / (samples * v * (v - 1));
        mean += cross_entropy(z[l], z[m], z, i) / samples;
      }
      if (m != l) of_means += std::exp(mean);
    }
    if (aggregation == Aggregation::arithmetic_published) sum += (std::log(of_means) - std::log(samples)) / v;
    for (int64_t i = 0; i < n; ++i) {
      double likelihood = 0;
      for (size_t m = 0; m < views; ++m)
        likelihood += m == l ? 0 : std::exp(-cross_entropy(z[l], z[m], z, i)) / (v - 1);
      if (aggregation == Aggregation::arithmetic) sum -= std::log(likelihood) / (samples * v);
      if (aggregation == Aggregation::average) {
        sum += (cross_entropy(z[l], others, {z[l], others}, i) +
                cross_entropy(others, z[l], {z[l], others}, i)) /
               (2 * samples * v);
      }
    }
  }
  return sum;
}

double value(const std::vector<Tensor>& z, Aggregation aggregation) {
  const auto loss =
      std::make_shared<Multiview>(Multiview::Options{.temperature = temperature, .aggregation = aggregation});
  return loss->forward(foil::input_of(z)).item<double>();
}

TEST(Multiview, EveryAggregationEqualsItsLoop) {
  for (const int64_t views : {2, 3, 4}) {
    const auto z = foil::unit_views(views, 5, 4);
    for (const auto aggregation : {Aggregation::pairwise, Aggregation::average, Aggregation::geometric,
                                   Aggregation::arithmetic, Aggregation::arithmetic_published}) {
      EXPECT_NEAR(value(z, aggregation), slow(z, aggregation), 1e-12)
          << views << " views, aggregation " << static_cast<int>(aggregation);
    }
  }
}

TEST(Multiview, TwoViewsAreNTXentButForThePublishedArithmetic) {
  const auto z = foil::unit_views(2, 5, 4);
  const double pairwise = value(z, Aggregation::pairwise);
  for (const auto aggregation : {Aggregation::average, Aggregation::geometric, Aggregation::arithmetic})
    EXPECT_NEAR(value(z, aggregation), pairwise, 1e-12) << static_cast<int>(aggregation);
  EXPECT_NEAR(value(z, Aggregation::arithmetic_published), pairwise - std::log(5.0), 1e-12);
}

}  // namespace
