// SPDX-License-Identifier: BSD-3-Clause
#include "losses/moco.cpp"

#include "tests/support/loss_steps.h"

namespace {

// -log of the softmax over one key and all rows of the queue, query by query.
double slow(const Tensor& q, const Tensor& k, const Tensor& queue, double temperature) {
  double sum = 0;
  for (int64_t i = 0; i < q.size(0); ++i) {
    const double positive = std::exp(foil::dot(q[i], k[i]) / temperature);
    double all = positive;
    for (int64_t j = 0; j < queue.size(0); ++j) all += std::exp(foil::dot(q[i], queue[j]) / temperature);
    sum -= std::log(positive / all);
  }
  return sum / static_cast<double>(q.size(0));
}

LossInput step_of(const std::vector<Tensor>& z, int64_t queue_length) {
  LossInput input = foil::input_of(z);
  input.target = foil::unit_views(2, z[0].size(0), z[0].size(1), 6);
  const auto rows = foil::unit_views(2, queue_length, z[0].size(1), 7);
  input.queue = {{rows[0], {}, {}, 0, 0}, {rows[1], {}, {}, 0, 0}};
  return input;
}

TEST(MoCo, EqualsTheLoopOverTheQueue) {
  const LossInput input = step_of(foil::unit_views(2, 7, 5), 11);
  const double forth = slow(input.z[0], input.target[1], input.queue[0].data, 0.2);
  const double back = slow(input.z[1], input.target[0], input.queue[1].data, 0.2);
  EXPECT_NEAR(MoCo({.temperature = 0.2}).forward(input).item<double>(), forth, 1e-12);
  EXPECT_NEAR(MoCo({.temperature = 0.2, .directions = MoCo::Directions::mean}).forward(input).item<double>(),
              (forth + back) / 2, 1e-12);
}

TEST(MoCo, AsksForAQueueOfEachViewThatIsAKey) {
  const foil::Needs one = MoCo({.queue_length = 9}).needs(),
                    two = MoCo({.queue_length = 9, .directions = MoCo::Directions::mean}).needs();
  ASSERT_EQ(one.queues.size(), 1u);
  EXPECT_EQ(one.queues[0].view, 1);
  ASSERT_EQ(two.queues.size(), 2u);
  EXPECT_EQ(two.queues[1].view, 0);
  EXPECT_EQ(two.queues[1].length, 9);
}

}  // namespace
