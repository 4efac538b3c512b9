// SPDX-License-Identifier: BSD-3-Clause
#include "losses/mv_dhel.cpp"

#include "tests/support/loss_steps.h"

namespace {

using Aggregation = MVDHEL::Aggregation;
constexpr double temperature = 0.3;

double similar(const Tensor& a, const Tensor& b) { return std::exp(foil::dot(a, b) / temperature); }

// Row i of a against every other row of a.
double repel(const Tensor& a, int64_t i) {
  double sum = 0;
  for (int64_t j = 0; j < a.size(0); ++j) sum += j == i ? 0 : similar(a[i], a[j]);
  return sum;
}

double two_views(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.size(0); ++i) sum -= std::log(similar(a[i], b[i]) / (repel(a, i) * repel(b, i)));
  return sum / static_cast<double>(a.size(0));
}

// Each aggregation as the paper and its ablations write it.
double slow(const std::vector<Tensor>& z, Aggregation aggregation) {
  const size_t views = z.size();
  const int64_t n = z[0].size(0);
  double sum = 0;
  if (aggregation == Aggregation::pairwise) {
    for (size_t l = 0; l < views; ++l) {
      for (size_t m = 0; m < l; ++m) sum += two_views(z[l], z[m]);
    }
    return sum / (static_cast<double>(views * (views - 1)) / 2);
  }
  if (aggregation == Aggregation::average) {
    for (size_t l = 0; l < views; ++l) {
      Tensor others = torch::zeros_like(z[0]);
      for (size_t m = 0; m < views; ++m) others += m == l ? torch::zeros_like(z[0]) : z[m];
      sum += two_views(z[l], others / others.norm(2, {1}, true));
    }
    return sum / static_cast<double>(views);
  }
  for (int64_t i = 0; i < n; ++i) {
    double energy = 1, pairs = 0;
    for (size_t l = 0; l < views; ++l) {
      energy *= repel(z[l], i);
      for (size_t m = 0; m < l; ++m) pairs += similar(z[l][i], z[m][i]);
    }
    if (aggregation == Aggregation::joint) sum -= std::log(pairs / energy) * static_cast<double>(views);
    for (size_t l = 0; l < views && aggregation != Aggregation::joint; ++l) {
      double positives = 0, others = 0;
      for (size_t m = 0; m < views; ++m) {
        if (m == l) continue;
        positives += similar(z[l][i], z[m][i]);
        for (int64_t j = 0; j < n; ++j) others += similar(z[l][i], z[m][j]);
      }
      sum -= std::log(positives / (aggregation == Aggregation::anchor_softmax ? others : energy));
    }
  }
  return sum / static_cast<double>(n * static_cast<int64_t>(views));
}

double value(const std::vector<Tensor>& z, Aggregation aggregation) {
  const auto loss =
      std::make_shared<MVDHEL>(MVDHEL::Options{.temperature = temperature, .aggregation = aggregation});
  return loss->forward(foil::input_of(z)).item<double>();
}

TEST(MVDHEL, EveryAggregationEqualsItsLoop) {
  for (const int64_t views : {2, 3, 5}) {
    const auto z = foil::unit_views(views, 5, 4);
    for (const auto aggregation : {Aggregation::joint, Aggregation::pairwise, Aggregation::average,
                                   Aggregation::anchor_positives, Aggregation::anchor_softmax}) {
      EXPECT_NEAR(value(z, aggregation), slow(z, aggregation), 1e-12)
          << views << " views, aggregation " << static_cast<int>(aggregation);
    }
  }
}

TEST(MVDHEL, TwoViewsAreOnePairInThreeAggregations) {
  const auto z = foil::unit_views(2, 5, 4);
  EXPECT_NEAR(value(z, Aggregation::pairwise), value(z, Aggregation::joint), 1e-12);
  EXPECT_NEAR(value(z, Aggregation::average), value(z, Aggregation::joint), 1e-12);
}

}  // namespace
