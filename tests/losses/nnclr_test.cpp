// SPDX-License-Identifier: BSD-3-Clause
#include "losses/nnclr.cpp"

#include "tests/support/loss_steps.h"
#include "tests/support/ranks_equal_one.h"

namespace {

LossInput step_of(const std::vector<Tensor>& p) {
  LossInput input = foil::input_of(foil::unit_views(2, p[0].size(0), p[0].size(1)));
  input.p = p;
  input.queue = {{foil::unit_views(1, 11, p[0].size(1), 9)[0], {}, {}, 0, 0}};
  return input;
}

// One direction, sample by sample: rows are neighbours, columns the predictions of the whole batch.
double slow(const Tensor& z, const Tensor& p, const Tensor& queue, double temperature) {
  double sum = 0;
  for (int64_t i = 0; i < z.size(0); ++i) {
    int64_t nearest = 0;
    for (int64_t k = 1; k < queue.size(0); ++k)
      if (foil::dot(z[i], queue[k]) > foil::dot(z[i], queue[nearest])) nearest = k;
    double all = 0;
    for (int64_t j = 0; j < z.size(0); ++j) all += std::exp(foil::dot(queue[nearest], p[j]) / temperature);
    sum -= foil::dot(queue[nearest], p[i]) / temperature - std::log(all);
  }
  return sum / static_cast<double>(z.size(0));
}

TEST(NNCLR, EqualsTheLoopOverTheBatch) {
  const LossInput input = step_of(foil::unit_views(2, 7, 5, 8));
  const Tensor& queue = input.queue[0].data;
  const double expected = (slow(input.z[0], input.p[1], queue, 0.2) + slow(input.z[1], input.p[0], queue, 0.2)) / 2;
  EXPECT_NEAR(NNCLR({.temperature = 0.2}).forward(input).item<double>(), expected, 1e-12);
}

TEST(NNCLR, GradientOfThePredictionsEqualsFiniteDifferences) {
  foil::expect_gradient_by_differences(foil::unit_views(2, 5, 4, 8), [](const auto& p) { return NNCLR({}).forward(step_of(p)); });
}

TEST(NNCLR, GivesProjectionsNoGradient) {
  LossInput input = step_of({foil::unit_views(1, 5, 4)[0].requires_grad_(), foil::unit_views(1, 5, 4, 2)[0]});
  for (Tensor& z : input.z) z.requires_grad_();
  NNCLR({}).forward(input).backward();
  EXPECT_TRUE(input.p[0].grad().defined());
  EXPECT_FALSE(input.z[0].grad().defined());
  EXPECT_FALSE(input.z[1].grad().defined());
}

TEST(NNCLR, IsTheSameOnOneTwoAndThreeRanksOverStepsOfItsQueue) {
  foil::expect_ranks_equal_one([] { return std::make_shared<NNCLR>(NNCLR::Options{.queue_length = 10}); },
                               foil::unit_views(2, 7, 5), {{4, 3}, {3, 2, 2}, {0, 7}, {5, 0, 2}},
                               {.index = {torch::arange(7), torch::arange(7, 14), torch::arange(3, 10)}});
}

TEST(NNCLR, OneSampleHasNoNegatives) {
  LossInput input = step_of({foil::unit_views(1, 1, 4)[0].requires_grad_(), foil::unit_views(1, 1, 4, 2)[0]});
  const Tensor value = NNCLR({}).forward(input);
  value.backward();
  EXPECT_EQ(value.item<double>(), 0);
  EXPECT_TRUE(input.p[0].grad().isfinite().all().item<bool>());
}

}  // namespace
