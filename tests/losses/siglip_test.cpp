// SPDX-License-Identifier: BSD-3-Clause
#include "losses/siglip.cpp"

#include "tests/support/loss_steps.h"

namespace {

constexpr double bias = -3;

std::shared_ptr<SigLIP> siglip() {
  SigLIP::Options options;
  options.temperature = 0.2;
  options.bias = bias;
  auto loss = std::make_shared<SigLIP>(options);
  loss->setup({});
  loss->to(torch::kDouble);
  torch::NoGradGuard no_grad;
  loss->named_parameters()["logit_scale"].fill_(std::log(5.0));
  return loss;
}

TEST(SigLIP, EqualsTheLoopOverAllPairs) {
  const auto z = foil::unit_views(2, 7, 5);
  double sum = 0;
  for (int64_t i = 0; i < 7; ++i) {
    for (int64_t j = 0; j < 7; ++j) {
      const double x = 5 * foil::dot(z[0][i], z[1][j]) + bias;
      sum -= std::log(1 / (1 + std::exp(i == j ? -x : x)));
    }
  }
  EXPECT_NEAR(siglip()->forward(foil::input_of(z)).item<double>(), sum / 7, 1e-12);
}

TEST(SigLIP, IsTheSumOverChunksOfTextsAsIfAllWereWrongLessTheRightSimilarities) {
  // softplus(-x) = softplus(x) - x, so that no chunk needs to know where its positives are.
  auto z = foil::unit_views(2, 7, 5);
  for (Tensor& view : z) view.requires_grad_();
  const auto loss = siglip();
  const Tensor scale = loss->named_parameters()["logit_scale"].exp(),
               offset = loss->named_parameters()["logit_bias"];
  Tensor chunked = -(scale * (z[0] * z[1]).sum(1) + offset).sum();
  for (const Tensor& texts : z[1].split(3))
    chunked = chunked + (scale * torch::matmul(z[0], texts.t()) + offset).exp().log1p().sum();
  const Tensor value = loss->forward(foil::input_of(z));
  EXPECT_NEAR(value.item<double>(), chunked.item<double>() / 7, 1e-12);
  std::vector<Tensor> all = loss->parameters();
  all.insert(all.end(), z.begin(), z.end());
  const auto ours = torch::autograd::grad({value}, all), theirs = torch::autograd::grad({chunked / 7}, all);
  for (size_t i = 0; i < all.size(); ++i) EXPECT_TRUE(torch::allclose(ours[i], theirs[i], 1e-11, 1e-14)) << i;
}

TEST(SigLIP, StartsAtThePublishedTemperatureAndBias) {
  SigLIP loss({});
  loss.setup({});
  EXPECT_NEAR(loss.named_parameters()["logit_scale"].item<double>(), std::log(10.0), 1e-6);
  EXPECT_EQ(loss.named_parameters()["logit_bias"].item<double>(), -10);
}

TEST(SigLIP, KeepsTheValueOfPairsThatAreToldApartInFloat) {
  SigLIP::Options options;
  options.temperature = 0.01;
  options.bias = -50;
  SigLIP loss(options);
  loss.setup({});
  // Positives at 50, negatives at -50.
  const std::vector<Tensor> z(2, torch::eye(3, torch::kFloat));
  EXPECT_NEAR(loss.forward(foil::input_of(z)).item<double>() / (3 * std::exp(-50.0)), 1, 1e-4);
}

}  // namespace
