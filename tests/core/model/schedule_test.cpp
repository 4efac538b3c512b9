// SPDX-License-Identifier: BSD-3-Clause
#include "model/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace {

// Seven steps in epochs of four, base 0.4, of which the first two are the warm-up.
std::vector<double> rates(const foil::ScheduleOptions& options) {
  std::vector<double> all;
  for (int64_t step = 0; step < 8; ++step) all.push_back(foil::learning_rate(options, 0.4, step, 7, 4));
  return all;
}

void expect_near(const std::vector<double>& got, const std::vector<double>& wanted) {
  ASSERT_EQ(got.size(), wanted.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], wanted[i], 1e-14) << "step " << i;
}

TEST(Schedule, CosineEqualsTheTableAndStaysAtTheEnd) {
  foil::ScheduleOptions options;
  options.warmup_steps = 2;
  options.final_factor = 0.1;
  // 0.4 (0.1 + 0.9 (1 + cos(pi i / 5)) / 2) for i = 0 ... 5
  expect_near(rates(options), {0.2, 0.4, 0.4, 0.365623058987491, 0.275623058987491, 0.16437694101251,
                               0.0743769410125095, 0.04});
}

TEST(Schedule, StepMultipliesAtEachMilestoneCountedFromTheStart) {
  foil::ScheduleOptions options;
  options.name = foil::ScheduleOptions::Shape::step;
  options.warmup_epochs = 0.5;
  options.milestones = {1.5, 0.75};
  options.factor = 0.5;
  expect_near(rates(options), {0.2, 0.4, 0.4, 0.2, 0.2, 0.2, 0.1, 0.1});
}

TEST(Schedule, ConstantIsTheBaseAfterTheWarmUp) {
  foil::ScheduleOptions options;
  options.name = foil::ScheduleOptions::Shape::constant;
  options.warmup_epochs = 1;
  options.warmup_steps = 1;
  expect_near(rates(options), {0.08, 0.16, 0.24, 0.32, 0.4, 0.4, 0.4, 0.4});
}

TEST(Schedule, AWarmUpLongerThanTheRunIsNotCutShort) {
  foil::ScheduleOptions options;
  options.warmup_steps = 16;
  expect_near(rates(options), {0.025, 0.05, 0.075, 0.1, 0.125, 0.15, 0.175, 0.2});
}

TEST(Schedule, ARunThatIsAllWarmUpEndsAtTheBase) {
  foil::ScheduleOptions options;
  options.warmup_steps = 7;
  EXPECT_DOUBLE_EQ(foil::learning_rate(options, 0.4, 6, 7, 4), 0.4);
  EXPECT_DOUBLE_EQ(foil::learning_rate(options, 0.4, 7, 7, 4), 0.4);
}

}  // namespace
