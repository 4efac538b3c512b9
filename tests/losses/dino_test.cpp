// SPDX-License-Identifier: BSD-3-Clause
#include "losses/dino.cpp"

#include "tests/support/loss_steps.h"

namespace {

std::shared_ptr<DINO> made(const DINO::Options& options, int64_t width) {
  const auto loss = std::make_shared<DINO>(options);
  loss->setup({.z_dim = width});
  loss->to(torch::kDouble);
  return loss;
}

LossInput step_of(const std::vector<Tensor>& z, int64_t full = 2) {
  LossInput input = foil::input_of(z);
  input.target = foil::unit_views(full, z[0].size(0), z[0].size(1), 9);
  return input;
}

// Algorithm 1, probability by probability.
double slow(const LossInput& input, const Tensor& centre, double student_temperature,
            double teacher_temperature) {
  double sum = 0;
  int64_t terms = 0;
  for (size_t v = 0; v < input.target.size(); ++v) {
    for (size_t w = 0; w < input.z.size(); ++w) {
      if (w == v) continue;
      ++terms;
      for (int64_t i = 0; i < input.z[w].size(0); ++i) {
        const Tensor q = ((input.target[v][i] - centre) / teacher_temperature).exp(),
                     p = (input.z[w][i] / student_temperature).exp();
        for (int64_t k = 0; k < q.size(0); ++k)
          sum -= (q[k] / q.sum()).item<double>() * std::log((p[k] / p.sum()).item<double>()) /
                 static_cast<double>(input.z[w].size(0));
      }
    }
  }
  return sum / static_cast<double>(terms);
}

TEST(DINO, EqualsTheLoopOverFullViewsAndCrops) {
  for (const int64_t views : {2, 5}) {
    const LossInput input = step_of(foil::unit_views(views, 7, 4));
    const auto loss = made({.student_temperature = 0.2, .teacher_temperature = 0.1}, 4);
    Tensor centre = loss->buffers()[0];
    centre.copy_(torch::tensor({0.3, -0.2, 0.1, 0.05}, torch::kDouble));
    EXPECT_NEAR(loss->forward(input).item<double>(), slow(input, centre, 0.2, 0.1), 1e-12);
  }
}

TEST(DINO, CentreFollowsTheMeanOfTheTargetsAfterTheStep) {
  const LossInput input = step_of(foil::unit_views(3, 7, 4));
  const auto loss = made({.centre_momentum = 0.7}, 4);
  const double before = loss->forward(input).item<double>();
  Tensor expected = torch::zeros({4}, torch::kDouble);
  for (int step = 0; step < 2; ++step) {
    loss->after_step(input);
    expected = 0.7 * expected + 0.3 * (input.target[0].mean(0) + input.target[1].mean(0)) / 2;
    EXPECT_TRUE(torch::allclose(loss->buffers()[0], expected, 1e-14, 1e-14)) << step;
  }
  EXPECT_NE(loss->forward(input).item<double>(), before);
}

TEST(DINO, TheTeachersTemperatureRisesEpochByEpoch) {
  LossInput input = step_of(foil::unit_views(2, 7, 4));
  const auto loss =
      made({.teacher_temperature = 0.07, .warmup_teacher_temperature = 0.04, .warmup_epochs = 4}, 4);
  const Tensor centre = torch::zeros({4}, torch::kDouble);
  const std::vector<double> temperatures = {0.04, 0.05, 0.06, 0.07,
                                            0.07};  // four equal steps with both ends, then constant
  for (size_t epoch = 0; epoch < temperatures.size(); ++epoch) {
    input.epoch = static_cast<int64_t>(epoch);
    EXPECT_NEAR(loss->forward(input).item<double>(), slow(input, centre, 0.1, temperatures[epoch]), 1e-11)
        << epoch;
  }
}

}  // namespace
