// SPDX-License-Identifier: BSD-3-Clause
#include "losses/swav.cpp"

#include "tests/support/loss_steps.h"

namespace {

std::shared_ptr<SwAV> made(const SwAV::Options& options, int64_t width) {
  torch::manual_seed(4);
  const auto loss = std::make_shared<SwAV>(options);
  loss->setup({.z_dim = width});
  loss->to(torch::kDouble);
  torch::NoGradGuard no_grad;
  loss->after_step({});  // unit norm in double
  return loss;
}

// The published loop on one rank: rows of the queue are stacked before those of the batch and dropped from
// the codes.
double slow(const LossInput& input, const Tensor& prototypes, const SwAV::Options& o) {
  const int64_t n = input.z[0].size(0);
  double sum = 0;
  for (size_t i = 0; i < 2; ++i) {
    Tensor rows = torch::matmul(input.z[i].detach(), prototypes.t());
    const bool stacked = i < input.queue.size() && input.queue[i].filled == o.queue_length;
    if (stacked) rows = torch::cat({torch::matmul(input.queue[i].data, prototypes.t()), rows});
    Tensor code = (rows / o.assignment_temperature).exp().t();  // [K, B]
    code = code / code.sum();
    for (int64_t t = 0; t < o.iterations; ++t) {
      code = code / code.sum(1, true) / static_cast<double>(code.size(0));
      code = code / code.sum(0, true) / static_cast<double>(code.size(1));
    }
    code = (code * static_cast<double>(code.size(1))).t().slice(0, rows.size(0) - n);
    for (size_t v = 0; v < input.z.size(); ++v) {
      if (v == i) continue;
      const Tensor log_p = torch::log_softmax(torch::matmul(input.z[v], prototypes.t()) / o.temperature, 1);
      for (int64_t b = 0; b < n; ++b)
        sum -= (code[b] * log_p[b]).sum().item<double>() / static_cast<double>(n);
    }
  }
  return sum / (2 * static_cast<double>(input.z.size() - 1));
}

const SwAV::Options kOptions{
    .assignment_temperature = 0.2, .prototypes = 6, .queue_length = 9, .queue_start_epoch = 0};

TEST(SwAV, EqualsThePublishedLoopForTwoViewsAndForCrops) {
  for (const int64_t views : {2, 5}) {
    const LossInput input = foil::input_of(foil::unit_views(views, 7, 4));
    const auto loss = made({.assignment_temperature = 0.2, .prototypes = 6}, 4);
    EXPECT_NEAR(loss->forward(input).item<double>(),
                slow(input, loss->parameters()[0].detach(), {.assignment_temperature = 0.2}), 1e-12);
  }
}

TEST(SwAV, BalancesOverTheQueueOnceItIsFull) {
  LossInput input = foil::input_of(foil::unit_views(3, 7, 4));
  const auto loss = made(kOptions, 4);
  const auto rows = foil::unit_views(2, 9, 4, 8);
  std::vector<double> values;
  for (const int64_t filled : {8, 9}) {
    input.queue.clear();
    for (const Tensor& r : rows) input.queue.push_back({r, {}, {}, filled, 0});
    values.push_back(loss->forward(input).item<double>());
    EXPECT_NEAR(values.back(), slow(input, loss->parameters()[0].detach(), kOptions), 1e-12) << filled;
  }
  EXPECT_NE(values[0], values[1]);
}

TEST(SwAV, BringsPrototypesToUnitNormAfterAStep) {
  const auto loss = made(kOptions, 4);
  torch::NoGradGuard no_grad;
  loss->parameters()[0].mul_(3).add_(0.1);
  loss->after_step({});
  EXPECT_LT((loss->parameters()[0].norm(2, {1}) - 1).abs().max().item<double>(), 1e-15);
}

TEST(SwAV, FrozenPrototypesGetNoGradient) {
  const auto loss = made({.prototypes = 6, .frozen_steps = 2}, 4);
  LossInput input = foil::input_of(foil::unit_views(2, 7, 4));
  for (Tensor& z : input.z) z.requires_grad_();
  input.step = 1;
  loss->forward(input).backward();
  EXPECT_FALSE(loss->parameters()[0].grad().defined());
  EXPECT_TRUE(input.z[0].grad().defined());
  input.step = 2;
  loss->forward(input).backward();
  EXPECT_GT(loss->parameters()[0].grad().abs().max().item<double>(), 0);
}

}  // namespace
