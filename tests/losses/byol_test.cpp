// SPDX-License-Identifier: BSD-3-Clause
#include "losses/byol.cpp"

#include "tests/support/loss_steps.h"

namespace {

LossInput step_of(const std::vector<Tensor>& p, int64_t full) {
  LossInput input =
      foil::input_of(foil::unit_views(static_cast<int64_t>(p.size()), p[0].size(0), p[0].size(1)));
  input.p = p;
  input.target = foil::unit_views(full, p[0].size(0), p[0].size(1), 9);
  return input;
}

// Squared distances of unit vectors, averaged over samples and added over pairs of views.
double slow(const LossInput& input) {
  double sum = 0;
  for (size_t v = 0; v < input.target.size(); ++v) {
    for (size_t w = 0; w < input.p.size(); ++w) {
      for (int64_t i = 0; i < input.p[w].size(0) && v != w; ++i)
        sum += (input.p[w][i] - input.target[v][i]).square().sum().item<double>() /
               static_cast<double>(input.p[w].size(0));
    }
  }
  return sum;
}

TEST(BYOL, EqualsTheSquaredDistancesOfPredictionsAndTargets) {
  const LossInput two = step_of(foil::unit_views(2, 7, 5, 8), 2),
                  crops = step_of(foil::unit_views(4, 7, 5, 8), 2);
  EXPECT_NEAR(BYOL({}).forward(two).item<double>(), slow(two) / 2, 1e-12);
  EXPECT_NEAR(BYOL({}).forward(crops).item<double>(), slow(crops) / 6, 1e-12);
  EXPECT_NEAR(BYOL({.directions = BYOL::Directions::sum}).forward(crops).item<double>(), slow(crops), 1e-12);
  EXPECT_EQ(crops.reports().size(), 6u);  // full views are predicted, by all others
  EXPECT_TRUE(crops.reports().contains("loss_4_2"));
}

}  // namespace
