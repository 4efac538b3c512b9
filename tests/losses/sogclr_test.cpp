// SPDX-License-Identifier: BSD-3-Clause
#include "losses/sogclr.cpp"

#include "tests/support/loss_steps.h"

namespace {

constexpr int64_t dataset_size = 12;

Tensor ids(const std::vector<int64_t>& values) { return torch::tensor(values, torch::kLong); }

// Of each sample: one list of both directions, or one of each.
using Estimates = std::vector<std::vector<double>>;

// Algorithm 1 sample by sample, on u itself; returns the loss and moves u. First visits by sample, or as an
// option says.
double slow_step(const std::vector<Tensor>& z, const Tensor& index, Estimates& u, const SogCLR::Options& o) {
  const int64_t n = z[0].size(0);
  const bool both = o.candidates == Candidates::both_views;
  const double negatives =
      static_cast<double>((both ? 2 : 1) * (n - 1) + (o.positive_among_negatives ? 1 : 0));
  const auto id = [&](int64_t i) { return static_cast<size_t>(index[i].item<int64_t>()); };
  double loss = 0;
  Estimates next = u;
  for (size_t v = 0; v < 2; ++v) {
    const std::vector<double>& old = u[v % u.size()];
    double seen = 0;
    for (int64_t i = 0; i < n; ++i) seen += old[id(i)];
    for (int64_t i = 0; i < n; ++i) {
      const bool whole = (o.first_visit == FirstVisit::sample && old[id(i)] == 0) ||
                         (o.first_visit == FirstVisit::batch && seen == 0);
      const double rate = whole ? 1 : 1 - o.estimate_momentum, positive = foil::dot(z[0][i], z[1][i]);
      const double less = o.surrogate == SogCLR::Surrogate::difference ? positive : 0;
      double g = 0, weighted = 0;
      for (size_t w = both ? 0 : 1 - v; w < (both ? 2 : 2 - v); ++w) {
        for (int64_t j = 0; j < n; ++j) {
          if (j == i && (w == v || !o.positive_among_negatives)) continue;
          const double s = foil::dot(z[v][i], z[w][j]) - less;
          g += std::exp(s / o.temperature) / negatives;
          weighted += std::exp(s / o.temperature) * s / negatives;
        }
      }
      const double moved = (1 - rate) * old[id(i)] + rate * g;
      loss += (weighted / std::max(moved, o.smallest_estimate) - positive + less) / static_cast<double>(n);
      double& kept = next[v % u.size()][id(i)];
      if (both && v == 1)
        kept = (kept + moved) / (o.history == SogCLR::History::sum ? 1 : 2);
      else
        kept = moved;
    }
  }
  u = next;
  return o.directions == Directions::mean ? loss / 2 : loss;
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
  const bool both = options.candidates == Candidates::both_views;
  Estimates u(both ? 1 : 2, std::vector<double>(dataset_size, 0));
  for (size_t step = 0; step < visits.size(); ++step) {
    const auto z = foil::unit_views(2, 5, 4, step);
    const LossInput input = foil::input_of(z, {}, ids(visits[step]));
    const double value = loss->forward(input).item<double>();
    loss->after_step(input);
    EXPECT_NEAR(value, slow_step(z, ids(visits[step]), u, options), 1e-11) << "step " << step;
    for (size_t v = 0; v < u.size(); ++v) {
      const std::string name = both ? "log_u" : v == 0 ? "log_u_1_2" : "log_u_2_1";
      EXPECT_TRUE(
          torch::allclose(loss->named_buffers()[name].exp(), torch::tensor(u[v], torch::kDouble), 1e-12, 0))
          << name << ", step " << step;
    }
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
  expect_steps_equal_the_loop({.temperature = 0.3, .estimate_momentum = 0.4, .directions = Directions::sum});
}

TEST(SogCLR, OfTwoModalitiesEqualsTheLoopInEachDirection) {
  SogCLR::Options options{.temperature = 0.3, .estimate_momentum = 0.4, .candidates = Candidates::other_view};
  expect_steps_equal_the_loop(options);
  options.surrogate = SogCLR::Surrogate::difference;
  for (const bool positive : {false, true}) {
    options.positive_among_negatives = positive;
    for (const FirstVisit first_visit : {FirstVisit::sample, FirstVisit::batch, FirstVisit::none}) {
      options.first_visit = first_visit;
      expect_steps_equal_the_loop(options);
    }
  }
}

TEST(SogCLR, TheDifferenceAndThePositiveAmongNegativesEqualTheirLoopsInBothViews) {
  expect_steps_equal_the_loop({.temperature = 0.3,
                               .estimate_momentum = 0.4,
                               .surrogate = SogCLR::Surrogate::difference,
                               .positive_among_negatives = true});
}

TEST(SogCLR, TheDifferenceReportsTheSameObjectiveOnAFirstVisit) {
  // Later the averages differ: each visit has a positive of its own.
  const LossInput input = foil::input_of(foil::unit_views(2, 5, 4)), same = input.anew();
  sogclr({.candidates = Candidates::other_view})->forward(input);
  sogclr({.candidates = Candidates::other_view, .surrogate = SogCLR::Surrogate::difference})->forward(same);
  EXPECT_NEAR(input.reports().at("objective").item<double>(), same.reports().at("objective").item<double>(),
              1e-12);
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
