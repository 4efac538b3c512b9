// SPDX-License-Identifier: BSD-3-Clause
#include "losses/csgcl.cpp"

#include "tests/support/error_of.h"
#include "tests/support/loss_steps.h"

namespace {

LossInput input_at(int64_t epoch, const std::vector<Tensor>& z, const Tensor& params) {
  LossInput input = foil::input_of(z);
  foil::View view;
  view.params = params;
  input.views = {view, view};
  input.epoch = epoch;
  return input;
}

// One direction with the strengths of both nodes of a pair, as published.
double slow(const Tensor& a, const Tensor& b, const Tensor& strength, double weight, double temperature) {
  const int64_t n = a.size(0);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const auto e = [&](const Tensor& row, int64_t j) {
      const double more = weight * (strength[i] + strength[j]).item<double>();
      return std::exp((foil::dot(a[i], row) + more) / temperature);
    };
    double all = 0;
    for (int64_t j = 0; j < n; ++j) all += e(b[j], j) + (j == i ? 0 : e(a[j], j));
    sum -= std::log(e(b[i], i) / all);
  }
  return sum / static_cast<double>(n);
}

TEST(CSGCL, EqualsTheLoopOverAllPairsAtEveryPartOfItsSchedule) {
  const auto z = foil::unit_views(2, 7, 5);
  const Tensor strength = torch::rand({7, 1}, torch::kDouble) - 0.2;
  CSGCL loss({.temperature = 0.3, .strength_weight = 1.5, .strength_start_epoch = 10, .strength_epochs = 4});
  const struct {
    int64_t epoch;
    double weight;
  } cases[] = {{0, 0}, {10, 0}, {13, 0.75}, {16, 1.5}, {100, 1.5}};
  for (const auto& [epoch, weight] : cases) {
    const double want = (slow(z[0], z[1], strength.select(1, 0), weight, 0.3) +
                         slow(z[1], z[0], strength.select(1, 0), weight, 0.3)) /
                        2;
    EXPECT_NEAR(loss.forward(input_at(epoch, z, strength)).item<double>(), want, 1e-12) << epoch;
  }
}

TEST(CSGCL, DoesNotOverflowInFloat) {
  std::vector<Tensor> z = foil::unit_views(2, 5, 4);
  for (Tensor& view : z) view = view.to(torch::kFloat);
  CSGCL loss({.temperature = 0.05, .strength_weight = 10, .strength_start_epoch = 0});
  const Tensor value = loss.forward(input_at(2000, z, torch::ones({5, 1})));  // exp(420) as published
  EXPECT_TRUE(value.isfinite().item<bool>());
}

TEST(CSGCL, SaysWhatIsMissingWithoutStrengths) {
  CSGCL loss({});
  const auto z = foil::unit_views(2, 5, 4);
  const auto told = [&](const Tensor& params) {
    return foil::test::refusal([&] { loss.forward(input_at(0, z, params)); }, foil::Exit::failure);
  };
  EXPECT_EQ(told({}),
            "CSGCL: the first view has no params, allowed: [5, P], the strength of each node's community "
            "first. The augmentation community_strength writes them.");
  EXPECT_EQ(told(torch::ones({4, 1})),
            "CSGCL: params of the first view are [4, 1], allowed: [5, P], the strength of each node's "
            "community first");
}

}  // namespace
