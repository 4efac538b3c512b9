// SPDX-License-Identifier: BSD-3-Clause
#include "losses/mv_infonce.cpp"

#include "tests/support/loss_steps.h"
#include "tests/support/ranks_equal_one.h"

namespace {

// The published sums, row by row.
double slow(const std::vector<Tensor>& z, double temperature) {
  const size_t views = z.size();
  const int64_t n = z[0].size(0);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    double positives = 0, rows = 0;
    for (size_t l = 0; l < views; ++l) {
      for (size_t m = 0; m < views; ++m) {
        for (int64_t j = 0; j < n; ++j) {
          const double e = std::exp(foil::dot(z[l][i], z[m][j]) / temperature);
          if (j != i || m != l) rows += e;
          if (j == i && m != l) positives += e;
        }
      }
    }
    sum -= std::log(positives / rows);
  }
  return sum / static_cast<double>(n);
}

std::shared_ptr<MVInfoNCE> mv_infonce(double temperature) {
  return std::make_shared<MVInfoNCE>(MVInfoNCE::Options{.temperature = temperature});
}
Tensor forward(const std::vector<Tensor>& z) { return mv_infonce(0.3)->forward(foil::input_of(z)); }

TEST(MVInfoNCE, EqualsTheLoopOverAllRows) {
  for (const int64_t views : {2, 3, 8}) {
    const auto z = foil::unit_views(views, 5, 4);
    EXPECT_NEAR(forward(z).item<double>(), slow(z, 0.3), 1e-12) << views << " views";
  }
}

TEST(MVInfoNCE, GradientEqualsFiniteDifferences) { foil::expect_gradient_by_differences(foil::unit_views(3, 5, 4), forward); }

TEST(MVInfoNCE, IsTheSameOnOneTwoAndThreeRanks) {
  foil::expect_ranks_equal_one([] { return mv_infonce(0.3); }, foil::unit_views(3, 7, 5), {{4, 3}, {3, 2, 2}, {0, 7}, {5, 0, 2}});
}

TEST(MVInfoNCE, OneSampleHasNothingToTellApart) {
  const auto z = foil::unit_views(3, 1, 4);
  EXPECT_EQ(forward(z).item<double>(), 0);
  foil::expect_finite(*mv_infonce(0.3), foil::input_of(z));
}

TEST(MVInfoNCE, IsFiniteAtTemperatureOneThousandth) {
  auto z = foil::unit_views(4, 6, 4);
  for (Tensor& view : z) view = view.to(torch::kFloat);
  foil::expect_finite(*mv_infonce(0.001), foil::input_of(z));
  for (Tensor& view : z) view = z[0].slice(0, 0, 1).expand({6, 4});
  foil::expect_finite(*mv_infonce(0.001), foil::input_of(z));
}

}  // namespace
