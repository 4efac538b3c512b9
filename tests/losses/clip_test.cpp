// SPDX-License-Identifier: BSD-3-Clause
#include "losses/clip.cpp"

#include "tests/support/error_of.h"
#include "tests/support/loss_steps.h"

namespace {

CLIP::Options fixed(double temperature) {
  CLIP::Options options;
  options.temperature = temperature;
  options.learn_temperature = false;
  return options;
}

std::shared_ptr<CLIP> clip(const CLIP::Options& options) {
  auto loss = std::make_shared<CLIP>(options);
  loss->setup({});
  loss->to(torch::kDouble);
  return loss;
}

double value_of(const CLIP::Options& options, const std::vector<Tensor>& z, const Tensor& label = {}) {
  return clip(options)->forward(foil::input_of(z, label)).item<double>();
}

// One direction, anchor by anchor; labels as a host gives them.
double slow_direction(const Tensor& a, const Tensor& b, double temperature,
                      const std::vector<int64_t>& label) {
  const int64_t n = a.size(0);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    double all = 0, positives = 0, logs = 0;
    for (int64_t j = 0; j < n; ++j) all += std::exp(foil::dot(a[i], b[j]) / temperature);
    for (int64_t j = 0; j < n; ++j) {
      const int64_t mine = label[static_cast<size_t>(i)], theirs = label[static_cast<size_t>(j)];
      if (j != i && (mine == -1 || mine != theirs)) continue;
      positives += 1;
      logs += foil::dot(a[i], b[j]) / temperature - std::log(all);
    }
    sum -= logs / positives;
  }
  return sum / static_cast<double>(n);
}

TEST(CLIP, EqualsTheLoopOverAllPairs) {
  const auto z = foil::unit_views(2, 7, 5);
  const std::vector<int64_t> none(7, -1), shared{3, 1, 3, -1, 1, -1, 3};
  CLIP::Options options = fixed(0.3);
  const auto slow = [&](const std::vector<int64_t>& label) {
    return (slow_direction(z[0], z[1], 0.3, label) + slow_direction(z[1], z[0], 0.3, label)) / 2;
  };
  EXPECT_NEAR(value_of(options, z), slow(none), 1e-12);
  options.positives = CLIP::Positives::label;
  EXPECT_NEAR(value_of(options, z, torch::tensor(shared, torch::kLong)), slow(shared), 1e-12);
}

TEST(CLIP, IsTheMeanOfTheTwoInfoNCEDirectionsAndLearnsAsTheyDo) {
  auto z = foil::unit_views(2, 7, 5);
  for (Tensor& view : z) view.requires_grad_();
  const auto loss = clip({});
  const Tensor log_scale = loss->named_parameters()["logit_scale"];
  const Tensor s = torch::matmul(z[0], z[1].t()) * log_scale.exp();
  const Tensor naive = -(s.log_softmax(1).diag().mean() + s.log_softmax(0).diag().mean()) / 2;
  const Tensor value = loss->forward(foil::input_of(z));
  EXPECT_NEAR(value.item<double>(), naive.item<double>(), 1e-12);
  const std::vector<Tensor> all{z[0], z[1], log_scale};
  const auto ours = torch::autograd::grad({value}, all), theirs = torch::autograd::grad({naive}, all);
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(torch::allclose(ours[i], theirs[i], 1e-11, 1e-14)) << i;
}

TEST(CLIP, LabelsThatNobodySharesChangeNothing) {
  const auto z = foil::unit_views(2, 5, 4);
  CLIP::Options options = fixed(0.1);
  const double alone = value_of(options, z);
  options.positives = CLIP::Positives::label;
  EXPECT_EQ(value_of(options, z, torch::tensor({4, -1, 2, -1, 0}, torch::kLong)), alone);
}

TEST(CLIP, ABiasChangesNothing) {
  const auto z = foil::unit_views(2, 5, 4);
  CLIP::Options options = fixed(0.1);
  options.learn_bias = true;
  const auto loss = clip(options);
  {
    torch::NoGradGuard no_grad;
    loss->named_parameters()["logit_bias"].fill_(-10);
  }
  EXPECT_NEAR(loss->forward(foil::input_of(z)).item<double>(), value_of(fixed(0.1), z), 1e-12);
}

TEST(CLIP, TheTemperatureStaysBetweenItsBounds) {
  const auto loss = clip({});
  Tensor log_scale = loss->named_parameters()["logit_scale"];
  EXPECT_NEAR(log_scale.item<double>(), std::log(1 / 0.07), 1e-6);
  torch::NoGradGuard no_grad;
  for (const auto& [moved, held] :
       {std::pair{9.0, std::log(100.0)}, {-0.5, 0.0}, {2.0, 2.0}, {std::log(100.0), std::log(100.0)}}) {
    log_scale.fill_(moved);
    loss->after_step({});
    EXPECT_NEAR(log_scale.item<double>(), held, 1e-15);
  }
}

TEST(CLIP, KeepsTheGradientOfAlignedPairsInFloat) {
  std::vector<Tensor> z(2);
  for (Tensor& view : z) view = torch::eye(3, torch::kFloat).requires_grad_();
  const Tensor value = clip(fixed(0.05))->forward(foil::input_of(z));
  EXPECT_NEAR(value.item<double>() / (2 * std::exp(-20.0)), 1, 1e-5);
  value.backward();
  EXPECT_NEAR(z[0].grad()[0][0].item<double>() / (-2 * std::exp(-20.0) / 0.05 / 3), 1, 1e-5);
}

TEST(CLIP, RefusesATemperatureThatItsBoundsExclude) {
  CLIP::Options options;
  options.temperature = 0.005;
  EXPECT_EQ(foil::test::refusal([&] { CLIP{options}; }),
            "temperature = 0.005, allowed: 0.01 to 1, the bounds of a learned temperature.");
  options.smallest_temperature = 2;
  EXPECT_EQ(foil::test::refusal([&] { CLIP{options}; }),
            "smallest_temperature = 2, allowed: at most largest_temperature = 1.");
}

}  // namespace
