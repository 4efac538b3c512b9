// SPDX-License-Identifier: BSD-3-Clause
#include "losses/nnclr.cpp"

#include "tests/support/loss_steps.h"

namespace {

LossInput step_of(const std::vector<Tensor>& p) {
  LossInput input = foil::input_of(foil::unit_views(2, p[0].size(0), p[0].size(1)));
  input.p = p;
  input.queue = {{foil::unit_views(1, 11, p[0].size(1), 9)[0], {}, {}, 0, 0}};
  return input;
}

// One direction, sample by sample: each neighbour among the predictions of the whole batch, and transposed.
double slow(const Tensor& z, const Tensor& p, const Tensor& queue, double temperature, bool transposed) {
  std::vector<Tensor> neighbour;
  for (int64_t i = 0; i < z.size(0); ++i) {
    int64_t nearest = 0;
    for (int64_t k = 1; k < queue.size(0); ++k)
      if (foil::dot(z[i], queue[k]) > foil::dot(z[i], queue[nearest])) nearest = k;
    neighbour.push_back(queue[nearest]);
  }
  double sum = 0;
  for (size_t i = 0; i < neighbour.size(); ++i) {
    const Tensor own = p[static_cast<int64_t>(i)];
    double predictions = 0, neighbours = 0;
    for (size_t j = 0; j < neighbour.size(); ++j) {
      predictions += std::exp(foil::dot(neighbour[i], p[static_cast<int64_t>(j)]) / temperature);
      neighbours += std::exp(foil::dot(neighbour[j], own) / temperature);
    }
    sum += std::log(predictions) - foil::dot(neighbour[i], own) / temperature;
    if (transposed) sum += std::log(neighbours) - foil::dot(neighbour[i], own) / temperature;
  }
  return sum / static_cast<double>(neighbour.size());
}

TEST(NNCLR, EqualsTheLoopOverTheBatch) {
  const LossInput input = step_of(foil::unit_views(2, 7, 5, 8));
  const Tensor& queue = input.queue[0].data;
  for (const bool transposed : {false, true}) {
    const double forth = slow(input.z[0], input.p[1], queue, 0.2, transposed),
                 back = slow(input.z[1], input.p[0], queue, 0.2, transposed);
    NNCLR loss({.temperature = 0.2, .transposed = transposed});
    EXPECT_NEAR(loss.forward(input).item<double>(), (forth + back) / 2, 1e-12) << transposed;
  }
}

TEST(NNCLR, GivesProjectionsNoGradient) {
  LossInput input = step_of({foil::unit_views(1, 5, 4)[0].requires_grad_(), foil::unit_views(1, 5, 4, 2)[0]});
  for (Tensor& z : input.z) z.requires_grad_();
  NNCLR({}).forward(input).backward();
  EXPECT_TRUE(input.p[0].grad().defined());
  EXPECT_FALSE(input.z[0].grad().defined());
  EXPECT_FALSE(input.z[1].grad().defined());
}

TEST(NNCLR, OneSampleHasNoNegatives) {
  LossInput input = step_of({foil::unit_views(1, 1, 4)[0].requires_grad_(), foil::unit_views(1, 1, 4, 2)[0]});
  const Tensor value = NNCLR({}).forward(input);
  value.backward();
  EXPECT_EQ(value.item<double>(), 0);
  EXPECT_TRUE(input.p[0].grad().isfinite().all().item<bool>());
}

}  // namespace
