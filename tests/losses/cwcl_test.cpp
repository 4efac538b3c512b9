// SPDX-License-Identifier: BSD-3-Clause
#include "losses/cwcl.cpp"

#include "tests/support/loss_steps.h"

namespace {

CWCL::Options fixed(double temperature) {
  CWCL::Options options;
  options.temperature = temperature;
  options.learn_temperature = false;
  return options;
}

Tensor forward(const CWCL::Options& options, const std::vector<Tensor>& z) {
  const auto loss = std::make_shared<CWCL>(options);
  loss->setup({});
  return loss->forward(foil::input_of(z));
}

// One direction as the paper writes it; `p`: what the weights are of, undefined for InfoNCE.
double slow_direction(const Tensor& a, const Tensor& b, const Tensor& p, double temperature) {
  const int64_t n = a.size(0);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    double all = 0, weights = 0, logs = 0;
    for (int64_t k = 0; k < n; ++k) all += std::exp(foil::dot(a[i], b[k]) / temperature);
    for (int64_t j = 0; j < n; ++j) {
      const double w = j == i ? 1 : p.defined() ? (1 + foil::dot(p[i], p[j])) / 2 : 0;
      weights += w;
      logs += w * std::log(std::exp(foil::dot(a[i], b[j]) / temperature) / all);
    }
    sum -= logs / weights;
  }
  return sum / static_cast<double>(n);
}

TEST(CWCL, EqualsTheLoopOverAllPairs) {
  const auto z = foil::unit_views(2, 7, 5);
  CWCL::Options options = fixed(0.3);
  const double forth = slow_direction(z[0], z[1], z[0], 0.3);
  const double plain = slow_direction(z[1], z[0], {}, 0.3), weighted = slow_direction(z[1], z[0], z[0], 0.3);
  EXPECT_NEAR(forward(options, z).item<double>(), (forth + plain) / 2, 1e-12);
  options.reverse = CWCL::Reverse::weighted;
  EXPECT_NEAR(forward(options, z).item<double>(), (forth + weighted) / 2, 1e-12);
  options.directions = CWCL::Directions::sum;
  EXPECT_NEAR(forward(options, z).item<double>(), forth + weighted, 1e-12);
}

TEST(CWCL, OfOppositeNeighboursIsInfoNCEInBothDirections) {
  // Two samples whose first views point apart have no weight on each other.
  auto z = foil::unit_views(2, 2, 4);
  z[0] = torch::stack({z[0][0], -z[0][0]});
  const double infonce = (slow_direction(z[0], z[1], {}, 0.2) + slow_direction(z[1], z[0], {}, 0.2)) / 2;
  EXPECT_NEAR(forward(fixed(0.2), z).item<double>(), infonce, 1e-12);
}

TEST(CWCL, TheGradientHoldsTheWeightsConstant) {
  auto z = foil::unit_views(2, 6, 4);
  for (Tensor& view : z) view.requires_grad_();
  const Tensor w = ((1 + torch::matmul(z[0], z[0].t())) / 2).detach().fill_diagonal_(1);
  const Tensor s = torch::matmul(z[0], z[1].t()) / 0.2;
  const Tensor naive = -((w / w.sum(1, true)) * s.log_softmax(1)).sum() / 6 - s.log_softmax(0).diag().mean();
  CWCL::Options options = fixed(0.2);
  options.directions = CWCL::Directions::sum;
  const auto ours = torch::autograd::grad({forward(options, z)}, z),
             theirs = torch::autograd::grad({naive}, z);
  for (size_t v = 0; v < 2; ++v) EXPECT_TRUE(torch::allclose(ours[v], theirs[v], 1e-11, 1e-14)) << v;
}

}  // namespace
