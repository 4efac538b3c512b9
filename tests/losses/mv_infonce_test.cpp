// SPDX-License-Identifier: BSD-3-Clause
#include "losses/mv_infonce.cpp"

#include "tests/support/loss_steps.h"

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

double value(const std::vector<Tensor>& z) {
  return std::make_shared<MVInfoNCE>(MVInfoNCE::Options{.temperature = 0.3})
      ->forward(foil::input_of(z))
      .item<double>();
}

TEST(MVInfoNCE, EqualsTheLoopOverAllRows) {
  for (const int64_t views : {2, 3, 8}) {
    const auto z = foil::unit_views(views, 5, 4);
    EXPECT_NEAR(value(z), slow(z, 0.3), 1e-12) << views << " views";
  }
}

TEST(MVInfoNCE, OneSampleHasNothingToTellApart) { EXPECT_EQ(value(foil::unit_views(3, 1, 4)), 0); }

}  // namespace
