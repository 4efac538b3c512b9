// SPDX-License-Identifier: BSD-3-Clause
#include "losses/supcon.cpp"

#include "tests/support/loss_steps.h"

namespace {

using Positives = SupCon::Positives;
using Anchors = SupCon::Anchors;
using Without = SupCon::WithoutPositives;

// Two classes of several samples, one of a single one.
Tensor labels() { return torch::tensor({4, 1, 4, 4, 2, 1, 4}, torch::kLong); }

// Equation (2) anchor by anchor; label undefined: the views of a sample.
double slow(const std::vector<Tensor>& z, const Tensor& label, const SupCon::Options& o) {
  const int64_t views = static_cast<int64_t>(z.size()), n = z[0].size(0);
  double sum = 0, anchors = 0;
  for (int64_t v = 0; v < (o.anchors == Anchors::all ? views : 1); ++v) {
    for (int64_t b = 0; b < n; ++b) {
      double denominator = 0, positives = 0, count = 0;
      for (int64_t u = 0; u < views; ++u) {
        for (int64_t c = 0; c < n; ++c) {
          if (u == v && c == b) continue;
          const double s = foil::dot(z[v][b], z[u][c]) / o.temperature;
          denominator += std::exp(s);
          const bool of_one_class =
              label.defined() && label[b].item<int64_t>() >= 0 && torch::equal(label[b], label[c]);
          if (of_one_class || b == c) positives += s, count += 1;
        }
      }
      if (count > 0) sum += std::log(denominator) - positives / count;
      if (count > 0 || o.without_positives == Without::zero) anchors += 1;
    }
  }
  return sum / anchors * o.temperature / o.base_temperature;
}

Tensor forward(const std::vector<Tensor>& z, const SupCon::Options& options, const Tensor& label = labels()) {
  return std::make_shared<SupCon>(options)->forward(
      foil::input_of(z, options.positives == Positives::label ? label : Tensor()));
}

SupCon::Options of(Positives positives, Anchors anchors, Without without) {
  return {.temperature = 0.2,
          .base_temperature = 0.1,
          .positives = positives,
          .anchors = anchors,
          .without_positives = without};
}

TEST(SupCon, EqualsTheLoopOverAllPairs) {
  for (int64_t views : {1, 2, 3}) {
    const auto z = foil::unit_views(views, 7, 5);
    for (const auto anchors : {Anchors::all, Anchors::one}) {
      for (const auto without : {Without::zero, Without::leave_out}) {
        const auto options = of(Positives::label, anchors, without);
        EXPECT_NEAR(forward(z, options).item<double>(), slow(z, labels(), options), 1e-12)
            << views << " views, anchors " << static_cast<int>(anchors) << ", without positives "
            << static_cast<int>(without);
      }
    }
  }
}

TEST(SupCon, WithoutLabelsEqualsTheLoopOverViews) {
  const auto z = foil::unit_views(3, 7, 5);
  const auto options = of(Positives::view, Anchors::all, Without::zero);
  EXPECT_NEAR(forward(z, options).item<double>(), slow(z, {}, options), 1e-12);
}

TEST(SupCon, ASampleWithoutALabelIsAlikeToItsOwnViewsOnly) {
  const Tensor some = torch::tensor({4, -1, 4, -1, 2, 1, -1}, torch::kLong),
               none = torch::full({7}, -1, torch::kLong);
  for (int64_t views : {1, 3}) {
    const auto z = foil::unit_views(views, 7, 5);
    const auto options = of(Positives::label, Anchors::all, Without::zero);
    EXPECT_NEAR(forward(z, options, some).item<double>(), slow(z, some, options), 1e-12) << views;
    const double alone =
        views == 1 ? 0 : forward(z, of(Positives::view, Anchors::all, Without::zero)).item<double>();
    EXPECT_NEAR(forward(z, options, none).item<double>(), alone, 1e-12) << views;
  }
}

TEST(SupCon, AnchorsWithoutPositivesCountOrAreLeftOut) {
  const auto z = foil::unit_views(1, 7, 5);  // one view: the single sample of class 2 has no positive
  const auto value = [&](Without without) {
    return forward(z, of(Positives::label, Anchors::all, without)).item<double>();
  };
  EXPECT_NEAR(value(Without::leave_out), value(Without::zero) * 7 / 6, 1e-12);
}

TEST(SupCon, KeepsTheGradientOfSeparatedClassesInFloat) {
  // One positive at cosine 1, negatives at 0, temperature 0.05: each term is 4 exp(-20); LSE - s in float
  // would give 0.
  std::vector<Tensor> z(2, torch::eye(3, torch::kFloat));
  const SupCon::Options options{.temperature = 0.05, .base_temperature = 0.05, .positives = Positives::view};
  EXPECT_NEAR(forward(z, options).item<double>() / (4 * std::exp(-20.0)), 1, 1e-5);
}

}  // namespace
