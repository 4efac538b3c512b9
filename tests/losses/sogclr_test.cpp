// SPDX-License-Identifier: BSD-3-Clause
#include "losses/sogclr.cpp"

#include "tests/support/loss_steps.h"

namespace {

constexpr int64_t dataset_size = 12;

Tensor ids(const std::vector<int64_t>& values) { return torch::tensor(values, torch::kLong); }

using FirstVisit = SogCLR::FirstVisit;

// Algorithm 1 sample by sample, on u itself; returns the loss and moves u. First visits by sample, or as an
// option says.
double slow_step(const std::vector<Tensor>& z, const Tensor& index, std::vector<double>& u,
                 const SogCLR::Options& o) {
  const int64_t n = z[0].size(0);
  const double negatives = static_cast<double>(2 * n - 2);
  double loss = 0, seen = 0;
  std::vector<double> next = u;
  for (int64_t i = 0; i < n; ++i) seen += u[static_cast<size_t>(index[i].item<int64_t>())];
  for (int64_t i = 0; i < n; ++i) {
    const size_t id = static_cast<size_t>(index[i].item<int64_t>());
    const bool whole = (o.first_visit == FirstVisit::sample && u[id] == 0) ||
                       (o.first_visit == FirstVisit::batch && seen == 0);
    const double rate = whole ? 1 : 1 - o.estimate_momentum;
    double kept = 0;
    for (int v = 0; v < 2; ++v) {
      double g = 0, weighted = 0;
      for (const Tensor& view : z) {
        for (int64_t j = 0; j < n; ++j) {
          const double s = j == i ? 0 : foil::dot(z[v][i], view[j]);
          g += j == i ? 0 : std::exp(s / o.temperature) / negatives;
          weighted += j == i ? 0 : std::exp(s / o.temperature) * s / negatives;
        }
      }
      const double moved = (1 - rate) * u[id] + rate * g;
      loss += (weighted / std::max(moved, o.smallest_estimate) - foil::dot(z[0][i], z[1][i])) /
              static_cast<double>(n);
      kept += o.history == SogCLR::History::sum ? moved : moved / 2;
    }
    next[id] = kept;
  }
  u = next;
  return o.directions == SogCLR::Directions::mean ? loss / 2 : loss;
}

std::shared_ptr<SogCLR> sogclr(const SogCLR::Options& options) {
  auto loss = std::make_shared<SogCLR>(options);
  loss->setup({.dataset_size = dataset_size});
  loss->to(torch::kDouble);
  return loss;
}
Tensor estimates(SogCLR& loss) { return loss.named_buffers()["log_u"].exp(); }

// Three steps whose samples overlap: new ones, a mixed batch, old ones.
const std::vector<std::vector<int64_t>> visits{{0, 1, 2, 3, 4}, {3, 4, 5, 6, 7}, {7, 1, 3, 0, 5}};

void expect_steps_equal_the_loop(const SogCLR::Options& options) {
  const auto loss = sogclr(options);
  std::vector<double> u(dataset_size, 0);
  for (size_t step = 0; step < visits.size(); ++step) {
    const auto z = foil::unit_views(2, 5, 4, step);
    const LossInput input = foil::input_of(z, {}, ids(visits[step]));
    const double value = loss->forward(input).item<double>();
    loss->after_step(input);
    EXPECT_NEAR(value, slow_step(z, ids(visits[step]), u, options), 1e-11) << "step " << step;
    EXPECT_TRUE(torch::allclose(estimates(*loss), torch::tensor(u, torch::kDouble), 1e-12, 0))
        << "step " << step;
  }
}

TEST(SogCLR, EqualsTheLoopOverThreeSteps) {
  expect_steps_equal_the_loop({.temperature = 0.3, .estimate_momentum = 0.4});
}

TEST(SogCLR, ThePublishedVariantsEqualTheirLoops) {
  expect_steps_equal_the_loop(
      {.temperature = 0.3, .estimate_momentum = 0.4, .first_visit = FirstVisit::batch});
  expect_steps_equal_the_loop({.temperature = 0.3,
                               .estimate_momentum = 0.4,
                               .first_visit = FirstVisit::none,
                               .history = SogCLR::History::sum});
  expect_steps_equal_the_loop({.temperature = 0.3, .estimate_momentum = 0.4, .smallest_estimate = 3});
  expect_steps_equal_the_loop(
      {.temperature = 0.3, .estimate_momentum = 0.4, .directions = SogCLR::Directions::sum});
}

TEST(SogCLR, TheMomentumGoesFromZeroToItsValueByACosine) {
  // At epoch 0 a seen sample forgets everything.
  for (const int64_t epoch : {0, 2, 9}) {
    const auto loss = sogclr({.estimate_momentum = 0.6,
                              .momentum_schedule = SogCLR::Schedule::cosine,
                              .momentum_epochs = 4,
                              .first_visit = FirstVisit::none});
    loss->named_buffers()["log_u"].zero_();  // u = 1
    LossInput input = foil::input_of(foil::unit_views(2, 5, 4));
    input.epoch = epoch;
    loss->forward(input);
    loss->after_step(input);
    const auto whole = sogclr({});
    whole->forward(input);
    whole->after_step(input);
    const double momentum = epoch == 0 ? 0 : epoch == 2 ? 0.3 : 0.6;
    const Tensor expected = momentum + (1 - momentum) * estimates(*whole).slice(0, 0, 5);
    EXPECT_TRUE(torch::allclose(estimates(*loss).slice(0, 0, 5), expected, 1e-12, 0)) << "epoch " << epoch;
  }
}

TEST(SogCLR, GradientIsThatOfTheSurrogateWithItsWeightsHeld) {
  // On a first visit the weights are a softmax: the gradient is temperature times that of the decoupled loss.
  foil::expect_decoupled_gradient(*sogclr({.temperature = 0.3}), 0.3);
}

TEST(SogCLR, OfASampleTwiceInABatchTheLastRowStays) {
  const auto z = foil::unit_views(2, 5, 4);
  const auto twice = sogclr({}), once = sogclr({});
  const LossInput a = foil::input_of(z, {}, ids({6, 1, 2, 6, 4})),
                  b = foil::input_of(z, {}, ids({0, 1, 2, 6, 4}));
  twice->forward(a), twice->after_step(a);
  once->forward(b), once->after_step(b);
  EXPECT_EQ(estimates(*twice)[6].item<double>(), estimates(*once)[6].item<double>());
}

TEST(SogCLR, OneSampleLeavesItsEstimate) {
  const auto loss = sogclr({});
  loss->named_buffers()["log_u"].zero_();
  const LossInput input = foil::input_of(foil::unit_views(2, 1, 4));
  loss->forward(input);
  loss->after_step(input);
  EXPECT_NEAR(estimates(*loss)[0].item<double>(), 1, 1e-15);
}

}  // namespace
