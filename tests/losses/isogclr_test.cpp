// SPDX-License-Identifier: BSD-3-Clause
#include "losses/isogclr.cpp"

#include "tests/support/loss_steps.h"

namespace {

constexpr int64_t dataset_size = 12;

Tensor ids(const std::vector<int64_t>& values) { return torch::tensor(values, torch::kLong); }

using Surrogate = ISogCLR::Surrogate;
using TemperatureOf = ISogCLR::TemperatureOf;
using Schedule = ISogCLR::Schedule;

struct State {
  std::vector<double> u, temperature, momentum;
};

// What the loops of one anchor give.
struct Anchor {
  double u = 0, loss = 0, gradient = 0;
};

// Of anchor i of view v, whose estimate moves by `rate` from `old`.
Anchor slow_anchor(const std::vector<Tensor>& z, const std::vector<double>& temperatures, double old,
                   double rate, int64_t i, size_t v, const ISogCLR::Options& o) {
  const int64_t n = z[0].size(0);
  const bool both = o.candidates == Candidates::both_views;
  const double count = static_cast<double>((both ? 2 : 1) * (n - 1) + (o.positive_among_negatives ? 1 : 0));
  const double positive = foil::dot(z[0][i], z[1][i]);
  double g = 0, sum_h = 0, sum_scaled = 0;
  for (size_t w = both ? 0 : 1 - v; w < (both ? 2 : 2 - v); ++w) {
    for (int64_t j = 0; j < n; ++j) {
      if (j == i && (w == v || !o.positive_among_negatives)) continue;
      const double s = foil::dot(z[v][i], z[w][j]);
      const double h = o.surrogate == Surrogate::squared_hinge
                           ? std::pow(std::max(0.0, s - positive + o.margin), 2)
                       : o.surrogate == Surrogate::difference ? s - positive
                                                              : s;
      const double scaled =
          h / temperatures[static_cast<size_t>(o.temperature_of == TemperatureOf::negative ? j : i)];
      g += std::exp(scaled) / count;
      sum_h += std::exp(scaled) * h / count;
      sum_scaled += std::exp(scaled) * scaled / count;
    }
  }
  const double u = (1 - rate) * old + rate * g;
  return {u, sum_h / u - (o.surrogate == Surrogate::exponential ? positive : 0),
          std::log(u) + o.robustness - sum_scaled / u};
}

// Algorithm 1 sample by sample; `eta` is the step of the temperatures. Returns the loss and moves the states:
// one of both directions, or one of each.
double slow_step(const std::vector<Tensor>& z, const Tensor& index, std::vector<State>& states,
                 const ISogCLR::Options& o, double eta) {
  const size_t n = static_cast<size_t>(z[0].size(0));
  const std::vector<State> old = states;
  const auto id = [&](size_t i) {
    return static_cast<size_t>(index[static_cast<int64_t>(i)].item<int64_t>());
  };
  double loss = 0;
  std::vector<std::vector<Anchor>> anchors(2, std::vector<Anchor>(n));
  for (size_t v = 0; v < 2; ++v) {
    const State& before = old[v % old.size()];
    std::vector<double> temperatures;
    double seen = 0;
    for (size_t i = 0; i < n; ++i) {
      seen += before.u[id(i)];
      temperatures.push_back(before.temperature[id(i)]);
    }
    for (size_t i = 0; i < n; ++i) {
      const double u = before.u[id(i)];
      const bool whole = (o.first_visit == FirstVisit::sample && u == 0) ||
                         (o.first_visit == FirstVisit::batch && seen == 0);
      anchors[v][i] =
          slow_anchor(z, temperatures, u, whole ? 1 : 1 - o.estimate_momentum, static_cast<int64_t>(i), v, o);
      loss += anchors[v][i].loss / static_cast<double>(n);
    }
  }
  for (size_t k = 0; k < states.size(); ++k) {
    for (size_t i = 0; i < n; ++i) {
      const Anchor &a = anchors[k][i], &b = anchors[states.size() == 1 ? 1 : k][i];
      double gradient = (a.gradient + b.gradient) / 2;
      if (o.gradient_clip > 0) gradient = std::clamp(gradient, -o.gradient_clip, o.gradient_clip);
      State& state = states[k];
      state.u[id(i)] = (a.u + b.u) / 2;
      state.momentum[id(i)] =
          o.gradient_momentum * old[k].momentum[id(i)] + (1 - o.gradient_momentum) * gradient;
      state.temperature[id(i)] = std::clamp(old[k].temperature[id(i)] - eta * state.momentum[id(i)],
                                            o.smallest_temperature, o.largest_temperature);
    }
  }
  return o.directions == Directions::mean ? loss / 2 : loss;
}

std::shared_ptr<ISogCLR> isogclr(const ISogCLR::Options& options) {
  auto loss = std::make_shared<ISogCLR>(options);
  loss->setup({.dataset_size = dataset_size});
  loss->to(torch::kDouble);
  return loss;
}
Tensor buffer(ISogCLR& loss, const std::string& name) { return loss.named_buffers()[name]; }

const std::vector<std::vector<int64_t>> visits{{0, 1, 2, 3, 4}, {3, 4, 5, 6, 7}, {7, 1, 3, 0, 5}};

void expect_steps_equal_the_loop(const ISogCLR::Options& options) {
  const auto loss = isogclr(options);
  const auto start = [](double value) { return std::vector<double>(dataset_size, value); };
  const bool both = options.candidates == Candidates::both_views;
  std::vector<State> states(both ? 1 : 2, {start(0), start(options.temperature), start(0)});
  for (size_t step = 0; step < visits.size(); ++step) {
    const auto z = foil::unit_views(2, 5, 4, step);
    const LossInput input = foil::input_of(z, {}, ids(visits[step]));
    const double value = loss->forward(input).item<double>();
    loss->after_step(input);
    EXPECT_NEAR(value, slow_step(z, ids(visits[step]), states, options, options.temperature_learning_rate),
                1e-11)
        << step;
    const auto same = [&](const Tensor& ours, const std::vector<double>& theirs) {
      return torch::allclose(ours, torch::tensor(theirs, torch::kDouble), 1e-11, 1e-13);
    };
    for (size_t v = 0; v < states.size(); ++v) {
      const std::string ending = both ? "" : v == 0 ? "_1_2" : "_2_1";
      EXPECT_TRUE(same(buffer(*loss, "log_u" + ending).exp(), states[v].u)) << step << ending;
      EXPECT_TRUE(same(buffer(*loss, "temperature" + ending), states[v].temperature)) << step << ending;
      EXPECT_TRUE(same(buffer(*loss, "temperature_momentum" + ending), states[v].momentum)) << step << ending;
    }
  }
}

TEST(ISogCLR, EqualsTheLoopOverThreeSteps) {
  expect_steps_equal_the_loop({.temperature = 0.3, .estimate_momentum = 0.4});
}

TEST(ISogCLR, ThePublishedVariantsEqualTheirLoops) {
  expect_steps_equal_the_loop(
      {.temperature = 0.3, .estimate_momentum = 0.4, .gradient_clip = 0, .first_visit = FirstVisit::batch});
  expect_steps_equal_the_loop({.temperature = 0.3,
                               .surrogate = Surrogate::squared_hinge,
                               .directions = Directions::sum,
                               .first_visit = FirstVisit::none,
                               .temperature_of = TemperatureOf::negative,
                               .positive_among_negatives = true});
}

TEST(ISogCLR, OfTwoModalitiesEqualsTheLoopInEachDirection) {
  ISogCLR::Options options{
      .temperature = 0.3, .estimate_momentum = 0.4, .candidates = Candidates::other_view};
  expect_steps_equal_the_loop(options);
  options.surrogate = Surrogate::difference;
  for (const bool positive : {false, true}) {
    options.positive_among_negatives = positive;
    for (const FirstVisit first_visit : {FirstVisit::sample, FirstVisit::batch, FirstVisit::none}) {
      options.first_visit = first_visit;
      expect_steps_equal_the_loop(options);
    }
  }
  options.temperature_of = TemperatureOf::negative;
  expect_steps_equal_the_loop(options);
}

TEST(ISogCLR, OfTwoModalitiesReportsEachDirection) {
  const LossInput input = foil::input_of(foil::unit_views(2, 5, 4));
  isogclr({.temperature = 0.3, .candidates = Candidates::other_view})->forward(input);
  for (const char* name : {"temperature_1_2", "temperature_2_1"})
    EXPECT_NEAR(input.reports().at(name).item<double>(), 0.3, 1e-15);
  EXPECT_NE(input.reports().at("temperature_gradient_1_2").item<double>(),
            input.reports().at("temperature_gradient_2_1").item<double>());
  EXPECT_EQ(input.reports().count("temperature"), 0);
}

TEST(ISogCLR, TheDifferenceEqualsItsLoopInBothViews) {
  expect_steps_equal_the_loop({.temperature = 0.3, .surrogate = Surrogate::difference});
}

TEST(ISogCLR, TheSquaredHingeEqualsItsLoop) {
  expect_steps_equal_the_loop({.temperature = 0.3, .surrogate = Surrogate::squared_hinge});
}

TEST(ISogCLR, ClipsTheGradientAndBoundsTheTemperature) {
  expect_steps_equal_the_loop({.temperature = 0.3, .robustness = 50, .gradient_clip = 0.5});
  expect_steps_equal_the_loop(
      {.temperature = 0.3, .smallest_temperature = 0.29, .largest_temperature = 0.31, .robustness = 50});
}

TEST(ISogCLR, EpochZeroTakesEveryEstimateWhole) {
  for (const int64_t epoch : {0, 1}) {
    const auto loss = isogclr(
                   {.temperature = 0.3, .estimate_momentum = 0.4, .first_visit = FirstVisit::epoch_zero}),
               whole = isogclr({.temperature = 0.3});
    buffer(*loss, "log_u").zero_();  // u = 1
    LossInput input = foil::input_of(foil::unit_views(2, 5, 4));
    input.epoch = epoch;
    loss->forward(input), loss->after_step(input);
    whole->forward(input), whole->after_step(input);
    const Tensor g = buffer(*whole, "log_u").slice(0, 0, 5).exp();
    EXPECT_TRUE(torch::allclose(buffer(*loss, "log_u").slice(0, 0, 5).exp(), epoch == 0 ? g : 0.4 + 0.6 * g,
                                1e-12, 0))
        << epoch;
  }
}

TEST(ISogCLR, TheMomentumGoesFromZeroToItsValueByACosine) {
  for (const int64_t epoch : {0, 2, 9}) {
    const auto loss = isogclr({.temperature = 0.3,
                               .estimate_momentum = 0.6,
                               .momentum_schedule = Schedule::cosine,
                               .momentum_epochs = 4,
                               .first_visit = FirstVisit::none});
    const auto whole = isogclr({.temperature = 0.3});
    buffer(*loss, "log_u").zero_();  // u = 1
    LossInput input = foil::input_of(foil::unit_views(2, 5, 4));
    input.epoch = epoch;
    loss->forward(input), loss->after_step(input);
    whole->forward(input), whole->after_step(input);
    const double momentum = epoch == 0 ? 0 : epoch == 2 ? 0.3 : 0.6;
    const Tensor expected = momentum + (1 - momentum) * buffer(*whole, "log_u").slice(0, 0, 5).exp();
    EXPECT_TRUE(torch::allclose(buffer(*loss, "log_u").slice(0, 0, 5).exp(), expected, 1e-12, 0))
        << "epoch " << epoch;
  }
}

TEST(ISogCLR, TheStepOfTheTemperaturesFollowsItsSchedule) {
  // From 0.5 to 0.1 in 4 epochs, or by half each epoch; the published exponential is one epoch late.
  const auto step = [](Schedule schedule, int64_t epoch) {
    const auto loss = isogclr({.temperature_learning_rate = 0.5,
                               .temperature_schedule = schedule,
                               .smallest_learning_rate = 0.1,
                               .schedule_epochs = 4,
                               .schedule_decay = 0.5});
    LossInput input = foil::input_of(foil::unit_views(2, 5, 4));
    input.epoch = epoch;
    loss->forward(input);
    return input.reports().at("temperature_learning_rate").item<double>();
  };
  EXPECT_NEAR(step(Schedule::constant, 3), 0.5, 1e-15);
  EXPECT_NEAR(step(Schedule::cosine, 0), 0.5, 1e-15);
  EXPECT_NEAR(step(Schedule::cosine, 2), 0.1 + 0.4 * std::sqrt(0.5), 1e-15);
  EXPECT_NEAR(step(Schedule::cosine, 4), 0.1, 1e-15);
  EXPECT_NEAR(step(Schedule::exponential, 0), 0.5, 1e-15);
  EXPECT_NEAR(step(Schedule::exponential, 2), 0.2, 1e-15);
  EXPECT_NEAR(step(Schedule::exponential_from_epoch_one, 0), 0.9, 1e-15);
}

TEST(ISogCLR, GradientHoldsWeightsAndTemperatures) {
  // On a first visit with equal temperatures the gradient is that of temperature times the decoupled loss.
  foil::expect_decoupled_gradient(*isogclr({.temperature = 0.3}), 0.3);
}

TEST(ISogCLR, OneSampleAndForwardAloneMoveNoState) {
  const auto loss = isogclr({});
  buffer(*loss, "log_u").zero_();
  const LossInput one = foil::input_of(foil::unit_views(2, 1, 4));
  loss->forward(one);
  loss->after_step(one);
  loss->forward(foil::input_of(foil::unit_views(2, 5, 4)));
  EXPECT_EQ(buffer(*loss, "log_u").abs().max().item<double>(), 0);
  EXPECT_EQ((buffer(*loss, "temperature") - 0.1).abs().max().item<double>(), 0);
  EXPECT_EQ(buffer(*loss, "temperature_momentum").abs().max().item<double>(), 0);
}

TEST(ISogCLR, RefusesBoundsThatCrossNamingBoth) {
  try {
    ISogCLR loss({.smallest_temperature = 0.5, .largest_temperature = 0.2});
    FAIL() << "accepted";
  } catch (const foil::Error& error) {
    EXPECT_STREQ(error.what(), "smallest_temperature = 0.5, allowed: at most largest_temperature = 0.2.");
  }
}

}  // namespace
