// SPDX-License-Identifier: BSD-3-Clause
#include "losses/hard_contrastive.cpp"

#include "tests/support/loss_steps.h"

namespace {

// Every anchor sorts its negatives and keeps the first.
double slow(const std::vector<Tensor>& z, const HardContrastive::Options& o) {
  const int64_t n = z[0].size(0);
  double sum = 0;
  for (int v = 0; v < 2; ++v) {
    for (int64_t i = 0; i < n; ++i) {
      std::vector<double> negatives;
      for (const Tensor& view : z) {
        for (int64_t j = 0; j < n; ++j) {
          if (j != i) negatives.push_back(foil::dot(z[v][i], view[j]) / o.temperature);
        }
      }
      std::sort(negatives.rbegin(), negatives.rend());
      const double positive = std::exp(foil::dot(z[0][i], z[1][i]) / o.temperature);
      double kept = 0;
      for (size_t k = 0;
           k < static_cast<size_t>(std::ceil(o.kept_fraction * static_cast<double>(negatives.size()))); ++k) {
        kept += std::exp(negatives[k]);
      }
      sum -= std::log(positive / (positive + kept));
    }
  }
  return sum / static_cast<double>(2 * n);
}

Tensor forward(const std::vector<Tensor>& z, const HardContrastive::Options& options) {
  return std::make_shared<HardContrastive>(options)->forward(foil::input_of(z));
}

TEST(HardContrastive, EqualsTheLoopThatSortsNegatives) {
  const auto z = foil::unit_views(2, 7, 5);
  for (const double fraction : {0.01, 0.25, 0.5, 1.0}) {
    const HardContrastive::Options options{.temperature = 0.2, .kept_fraction = fraction};
    EXPECT_NEAR(forward(z, options).item<double>(), slow(z, options), 1e-12) << fraction;
  }
}

TEST(HardContrastive, KeepsExactlyAsManyWhereSimilaritiesTie) {
  // All negatives at cosine 0, 14 of them of which 4 are kept: log(1 + 4 exp(-1/temperature)).
  const std::vector<Tensor> z(2, torch::eye(8, torch::kDouble));
  const HardContrastive::Options options{.temperature = 0.5, .kept_fraction = 0.25};
  EXPECT_NEAR(forward(z, options).item<double>(), std::log1p(4 * std::exp(-2.0)), 1e-12);
}

TEST(HardContrastive, TakesTheNearestOfWhatHasEnteredTheQueue) {
  const auto z = foil::unit_views(2, 5, 4);
  foil::LossInput input = foil::input_of(z);
  HardContrastive loss({.temperature = 0.2,
                        .kept_fraction = 0.3,
                        .negatives = HardContrastive::Negatives::queue,
                        .queue_length = 9});
  const Tensor bank = foil::unit_views(1, 9, 4, 8)[0];
  for (const int64_t filled : {0, 1, 7}) {
    input.queue = {{.data = bank, .label = {}, .index = {}, .filled = filled, .view = 1}};
    double sum = 0;
    for (int64_t i = 0; i < 5; ++i) {
      std::vector<double> negatives;
      for (int64_t k = 0; k < filled; ++k) negatives.push_back(foil::dot(z[0][i], bank[k]) / 0.2);
      std::sort(negatives.rbegin(), negatives.rend());
      negatives.resize(static_cast<size_t>(std::ceil(0.3 * static_cast<double>(filled))));
      double kept = 0;
      for (const double s : negatives) kept += std::exp(s);
      sum += std::log1p(kept / std::exp(foil::dot(z[0][i], z[1][i]) / 0.2));
    }
    EXPECT_NEAR(loss.forward(input).item<double>(), sum / 5, 1e-12) << filled;
  }
}

}  // namespace
