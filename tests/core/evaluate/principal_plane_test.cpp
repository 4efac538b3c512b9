// SPDX-License-Identifier: BSD-3-Clause
// The plane of rows made to lie in one.
#include "evaluate/principal_plane.h"

#include <gtest/gtest.h>
#include <torch/types.h>

namespace foil {
namespace {

TEST(PrincipalPlane, FindsTheAxesAlongWhichRowsWereMade) {
  const Tensor far = torch::tensor({{4.0, 0.5}, {-4.0, 0.5}, {0.0, -1.0}}, torch::kDouble);  // centred
  const Tensor axes = torch::tensor({{-0.6, 0.0, -0.8}, {0.0, 1.0, 0.0}}, torch::kDouble);
  const PrincipalPlane plane = principal_plane(far.mm(axes) + 5);
  const Tensor want = far * torch::tensor({-1.0, 1.0}, torch::kDouble);  // the largest entry is positive
  EXPECT_LT((plane.at - want).abs().max().item<double>(), 1e-12);
  EXPECT_NEAR(plane.first, 32 / 33.5, 1e-12);
  EXPECT_NEAR(plane.second, 1.5 / 33.5, 1e-12);
}

TEST(PrincipalPlane, IsALineOfOneFeatureAndAPointOfEqualRows) {
  const PrincipalPlane line = principal_plane(torch::tensor({{1.0}, {3.0}}, torch::kDouble));
  EXPECT_TRUE(line.at.equal(torch::tensor({{-1.0, 0.0}, {1.0, 0.0}}, torch::kDouble)));
  EXPECT_EQ(line.first, 1);
  const PrincipalPlane point = principal_plane(torch::ones({4, 3}));
  EXPECT_EQ(point.at.abs().max().item<double>(), 0);
  EXPECT_EQ(point.first, 0);
}

}  // namespace
}  // namespace foil
