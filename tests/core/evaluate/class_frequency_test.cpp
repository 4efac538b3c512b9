// SPDX-License-Identifier: BSD-3-Clause
#include "evaluate/class_frequency.h"

#include <gtest/gtest.h>
#include <torch/types.h>

namespace foil {
namespace {

Tensor ids(const std::vector<int64_t>& values) { return torch::tensor(values, torch::kLong); }
using Classes = std::vector<int64_t>;

TEST(ClassFrequency, SortsClassesByTrainingSamplesIntoThirds) {
  // Classes 0 to 3 have 1, 4, 2 and 4 samples, class 4 none: the two of 4 stand in their own order.
  const auto groups = frequency_groups(ids({1, 1, 1, 1, 3, 3, 3, 3, 2, 2, 0}), 5);
  ASSERT_EQ(groups.size(), 3U);
  EXPECT_EQ(groups[0].name, "many");
  EXPECT_EQ(groups[0].classes, (Classes{1, 3}));
  EXPECT_EQ(groups[1].name, "medium");
  EXPECT_EQ(groups[1].classes, (Classes{2}));
  EXPECT_EQ(groups[2].name, "few");
  EXPECT_EQ(groups[2].classes, (Classes{0, 4}));
}

TEST(ClassFrequency, GivesTenClassesThreeFourAndThree) {
  const auto groups = frequency_groups(torch::arange(10), 10);
  EXPECT_EQ(groups[0].classes, (Classes{0, 1, 2}));
  EXPECT_EQ(groups[1].classes, (Classes{3, 4, 5, 6}));
  EXPECT_EQ(groups[2].classes, (Classes{7, 8, 9}));
}

TEST(ClassFrequency, LeavesOutAGroupWithoutClasses) {
  const auto groups = frequency_groups(ids({0, 1, 1}), 2);
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[0].classes, (Classes{1}));
  EXPECT_EQ(groups[1].name, "few");
}

TEST(ClassFrequency, MeansOfAGroupAreOfItsSamplesOnly) {
  const Tensor hits = torch::tensor({true, false, true, true, true, false, false}),
               labels = ids({2, 2, 0, 1, 1, 0, 0});
  EXPECT_DOUBLE_EQ(group_mean(hits, labels, {"many", {2}}).value(), 1.0 / 2);
  EXPECT_DOUBLE_EQ(group_mean(hits, labels, {"medium", {0, 2}}).value(), 2.0 / 5);
  EXPECT_DOUBLE_EQ(group_mean(hits, labels, {"few", {1}}).value(), 1);
  EXPECT_FALSE(group_mean(hits, labels, {"few", {3}}).has_value());
}

TEST(ClassFrequency, WhatIsNotFiniteTakesNoPart) {
  const Tensor values =
      torch::tensor({0.5, 1.5, -std::numeric_limits<double>::infinity(), 7.0}, torch::kDouble);
  EXPECT_DOUBLE_EQ(group_mean(values, ids({0, 0, 0, 1}), {"many", {0}}).value(), 1);
  EXPECT_FALSE(group_mean(values, ids({0, 0, 3, 1}), {"few", {3}}).has_value());
}

}  // namespace
}  // namespace foil
