// SPDX-License-Identifier: BSD-3-Clause
#include "model/optimizer.h"

#include "tests/support/error_of.h"

#include <gtest/gtest.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

// The optimizers want the archives before them.
// clang-format off
#include <torch/serialize/input-archive.h>
#include <torch/serialize/output-archive.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>
// clang-format on

namespace {

using at::Tensor;
using foil::test::error_of;
using Named = std::vector<std::pair<std::string, Tensor>>;

// A convolution in channels-last layout, a matrix, a bias and a scalar.
Named parameters(at::ScalarType dtype = torch::kDouble) {
  torch::manual_seed(3);
  Named all;
  all.emplace_back("conv.weight",
                   torch::randn({5, 3, 3, 2}, dtype).contiguous(at::MemoryFormat::ChannelsLast));
  all.emplace_back("fc.weight", torch::randn({7, 5}, dtype));
  all.emplace_back("fc.bias", torch::randn({7}, dtype));
  all.emplace_back("scale", torch::randn({}, dtype));
  for (auto& [name, tensor] : all) tensor.requires_grad_(true);
  return all;
}

// Dense gradients of step `step`, in the contiguous layout; none for parameter `without`.
void set_gradients(const Named& all, uint64_t step, const std::string& without = "") {
  torch::manual_seed(100 + step);
  for (const auto& [name, tensor] : all) {
    const Tensor grad = torch::randn(tensor.sizes(), tensor.options().requires_grad(false));
    Tensor(tensor).mutable_grad() = name == without ? Tensor() : grad;
  }
}

std::vector<Tensor> tensors(const Named& all) {
  std::vector<Tensor> out;
  for (const auto& [name, tensor] : all) out.push_back(tensor);
  return out;
}

double difference(const Named& a, const Named& b) {
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i)
    most = std::max(most, (a[i].second - b[i].second).abs().max().item<double>());
  return most;
}

double rate(int step) { return 0.1 / (1 + step); }

// Six steps of ours beside LibTorch's own optimizer, in which the scalar does not decay; the third parameter
// has no gradient in the first two.
template <class Theirs, class TheirOptions>
double six_steps_apart(const foil::OptimizerOptions& options, TheirOptions their_options) {
  const Named ours = parameters(), theirs = parameters();
  foil::Optimizer optimizer(options, {{ours, 1}});
  TheirOptions undecayed = their_options;  // of the scalar
  undecayed.weight_decay(0);
  const std::vector<Tensor> all = tensors(theirs);
  std::vector<torch::optim::OptimizerParamGroup> groups;
  groups.emplace_back(std::vector<Tensor>{all[0], all[1], all[2]},
                      std::make_unique<TheirOptions>(their_options));
  groups.emplace_back(std::vector<Tensor>{all[3]}, std::make_unique<TheirOptions>(undecayed));
  Theirs reference(groups, their_options);
  for (int step = 0; step < 6; ++step) {
    const std::string without = step < 2 ? "fc.bias" : "";
    set_gradients(ours, static_cast<uint64_t>(step), without);
    set_gradients(theirs, static_cast<uint64_t>(step), without);
    optimizer.step(rate(step));
    for (auto& group : reference.param_groups()) group.options().set_lr(rate(step));
    reference.step();
  }
  EXPECT_GT(difference(ours, parameters()), 0.1);
  return difference(ours, theirs);
}

foil::OptimizerOptions named(const std::string& name) {
  foil::OptimizerOptions options;
  using Kind = foil::OptimizerOptions::Kind;
  const std::map<std::string, Kind> kinds{
      {"sgd", Kind::sgd}, {"adam", Kind::adam}, {"adamw", Kind::adamw}, {"lars", Kind::lars}};
  options.name = kinds.at(name);
  options.weight_decay = 0.05;
  return options;
}

TEST(Optimizer, SgdEqualsLibTorchs) {
  for (const double momentum : {0.0, 0.9}) {
    for (const bool nesterov : {false, true}) {
      foil::OptimizerOptions options = named("sgd");
      options.momentum = momentum;
      options.nesterov = nesterov;
      const auto theirs = torch::optim::SGDOptions(0.1)
                              .momentum(momentum)
                              .nesterov(nesterov && momentum > 0)
                              .weight_decay(0.05);
      EXPECT_LT((six_steps_apart<torch::optim::SGD>(options, theirs)), 1e-12) << momentum << nesterov;
    }
  }
}

TEST(Optimizer, AdamEqualsLibTorchs) {
  foil::OptimizerOptions options = named("adam");
  options.betas = {0.8, 0.95};
  options.epsilon = 1e-6;
  const auto theirs = torch::optim::AdamOptions(0.1).betas({0.8, 0.95}).eps(1e-6).weight_decay(0.05);
  EXPECT_LT((six_steps_apart<torch::optim::Adam>(options, theirs)), 1e-12);
}

TEST(Optimizer, AdamWEqualsLibTorchs) {
  const auto theirs = torch::optim::AdamWOptions(0.1).weight_decay(0.05);
  EXPECT_LT((six_steps_apart<torch::optim::AdamW>(named("adamw"), theirs)), 1e-12);
}

// w = [[3, 4]], b = [0.5], momentum 0.9, weight decay 0.01, trust coefficient 0.02, from the equations with
// Python floats.
void expect_lars_table(bool nesterov, bool adapt, const std::vector<std::array<double, 3>>& table) {
  foil::OptimizerOptions options = named("lars");
  options.weight_decay = 0.01;
  options.trust_coefficient = 0.02;
  options.nesterov = nesterov;
  options.adapt_norms_and_biases = adapt;
  const Tensor w = torch::tensor({{3.0, 4.0}}, torch::kDouble).requires_grad_(true);
  const Tensor b = torch::tensor({0.5}, torch::kDouble).requires_grad_(true);
  foil::Optimizer optimizer(options, {{{{"w", w}, {"b", b}}, 1}});
  const std::vector<double> rates = {0.1, 0.2, 0.3, 0.2, 0.1}, bias_gradients = {1, -1, 0.5, 2, -0.25};
  const std::vector<std::array<double, 2>> gradients = {{1, -2}, {0.5, 0.25}, {0, 0}, {-3, 1}, {2, 2}};
  for (size_t step = 0; step < table.size(); ++step) {
    w.mutable_grad() = torch::tensor({{gradients[step][0], gradients[step][1]}}, torch::kDouble);
    b.mutable_grad() = torch::tensor({bias_gradients[step]}, torch::kDouble);
    optimizer.step(rates[step]);
    EXPECT_NEAR(w[0][0].item<double>(), table[step][0], 1e-13) << "step " << step;
    EXPECT_NEAR(w[0][1].item<double>(), table[step][1], 1e-13) << "step " << step;
    EXPECT_NEAR(b[0].item<double>(), table[step][2], 1e-13) << "step " << step;
  }
}

TEST(Lars, EqualsTheFiveStepTable) {
  expect_lars_table(false, false,
                    {{2.99549444718995, 4.00857367330845, 0.4},
                     {2.9740225315355, 4.00675633953286, 0.51},
                     {2.93685367225729, 3.98108020109762, 0.459},
                     {2.92170462892967, 3.95156509777631, 0.0131},
                     {2.90113939215884, 3.91803523056901, -0.36321}});
}

TEST(Lars, AdaptsNormsAndBiasesOnlyWhenAsked) {
  expect_lars_table(false, true,
                    {{2.99549444718995, 4.00857367330845, 0.499},
                     {2.9740225315355, 4.00675633953286, 0.50007617882765},
                     {2.93685367225729, 3.98108020109762, 0.498044282699569},
                     {2.92170462892967, 3.95156509777631, 0.494223399053498},
                     {2.90113939215884, 3.91803523056901, 0.491734727101432}});
}

TEST(Lars, WithNesterovEqualsTheFiveStepTable) {
  expect_lars_table(true, false,
                    {{2.9914394496609, 4.01628997928606, 0.31},
                     {2.95467752110536, 4.00510342623746, 0.609},
                     {2.90359329729712, 3.95796582605862, 0.4131},
                     {2.90808687706472, 3.92509259599186, -0.38821},
                     {2.88269148886761, 3.88807092049695, -0.701889}});
}

TEST(Lars, AWeightOfNormZeroTakesThePlainStep) {
  const Tensor w = torch::zeros({1, 2}, torch::kDouble).requires_grad_(true);
  foil::Optimizer optimizer(named("lars"), {{{{"w", w}}, 1}});
  w.mutable_grad() = torch::tensor({{1.0, -2.0}}, torch::kDouble);
  optimizer.step(0.5);
  EXPECT_TRUE(torch::equal(w.detach(), torch::tensor({{-0.5, 1.0}}, torch::kDouble)));
}

class EveryOptimizer : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Optimizer, EveryOptimizer, testing::Values("sgd", "adam", "adamw", "lars"),
                         [](const auto& name) { return name.param; });

TEST_P(EveryOptimizer, ContinuesWithTheSameBitsFromItsState) {
  for (const at::ScalarType dtype : {torch::kFloat, torch::kDouble}) {
    const Named first = parameters(dtype);
    foil::Optimizer whole(named(GetParam()), {{first, 1}});
    std::map<std::string, Tensor> saved;
    Named second;
    for (uint64_t step = 0; step < 6; ++step) {
      if (step == 3) {
        for (const auto& [name, tensor] : whole.state())
          saved[name] = tensor.clone(at::MemoryFormat::Contiguous);
        for (const auto& [name, tensor] : first)
          second.emplace_back(name, tensor.detach().clone().requires_grad_(true));
      }
      set_gradients(first, step, "fc.bias");
      whole.step(0.1);
    }
    foil::Optimizer resumed(named(GetParam()), {{second, 1}});
    resumed.load_state(saved);
    for (uint64_t step = 3; step < 6; ++step) {
      set_gradients(second, step, "fc.bias");
      resumed.step(0.1);
    }
    for (size_t i = 0; i < first.size(); ++i)
      EXPECT_TRUE(torch::equal(first[i].second, second[i].second)) << first[i].first;
    EXPECT_EQ(saved.size(), whole.state().size());
    for (const auto& [name, tensor] : whole.state())
      EXPECT_TRUE(torch::equal(tensor, resumed.state().at(name))) << name;
  }
}

TEST_P(EveryOptimizer, LeavesAParameterWithoutGradientAndItsStateAlone) {
  const Named all = parameters(), before = parameters();
  foil::Optimizer optimizer(named(GetParam()), {{all, 1}});
  set_gradients(all, 0, "fc.weight");
  optimizer.step(0.1);
  EXPECT_TRUE(torch::equal(all[1].second, before[1].second));
  EXPECT_FALSE(torch::equal(all[0].second, before[0].second));
  for (const auto& [name, tensor] : optimizer.state()) {
    EXPECT_EQ(tensor.abs().max().item<double>() > 0, !name.starts_with("fc.weight.")) << name;
  }
  optimizer.zero_grad();
  for (const auto& [name, tensor] : all) EXPECT_FALSE(tensor.grad().defined()) << name;
  const Tensor now = all[0].second.detach().clone();
  optimizer.step(0.1);
  EXPECT_TRUE(torch::equal(all[0].second, now));
}

TEST_P(EveryOptimizer, TakesTheRateTimesTheFactorOfTheGroup) {
  const Named one = parameters(), other = parameters();
  foil::Optimizer together(named(GetParam()), {{{one[0]}, 1}, {{one[1], one[2], one[3]}, 0.25}});
  foil::Optimizer head(named(GetParam()), {{{other[0]}, 1}}),
      tail(named(GetParam()), {{{other[1], other[2], other[3]}, 1}});
  for (uint64_t step = 0; step < 3; ++step) {
    set_gradients(one, step);
    set_gradients(other, step);
    together.step(0.1);
    head.step(0.1);
    tail.step(0.025);
  }
  EXPECT_EQ(difference(one, other), 0);
}

TEST_P(EveryOptimizer, DecaysNormsAndBiasesAsAskedAndAScalarNever) {
  for (const bool asked : {false, true}) {
    const Named all = parameters(), before = parameters();
    foil::OptimizerOptions options = named(GetParam());
    options.decay_norms_and_biases = options.adapt_norms_and_biases = asked;
    foil::Optimizer optimizer(options, {{all, 1}});
    for (const auto& [name, tensor] : all) tensor.mutable_grad() = torch::zeros_like(tensor);
    optimizer.step(0.1);
    EXPECT_FALSE(torch::equal(all[1].second, before[1].second));
    EXPECT_EQ(torch::equal(all[2].second, before[2].second), !asked);
    EXPECT_TRUE(torch::equal(all[3].second, before[3].second)) << "a learned temperature";
  }
}

TEST(Optimizer, ClipsTheNormOfAllGradientsTogether) {
  const Named all = parameters();
  foil::OptimizerOptions options = named("sgd");
  options.clip_norm = 2;
  foil::Optimizer optimizer(options, {{{all[0], all[1]}, 1}, {{all[2], all[3]}, 0.5}});
  EXPECT_EQ(optimizer.clip(), 0);  // no gradients yet
  set_gradients(all, 0, "fc.bias");
  double square = 0;
  for (const auto& [name, tensor] : all)
    square += tensor.grad().defined() ? tensor.grad().square().sum().item<double>() : 0;
  ASSERT_GT(square, 4);
  const Tensor before = all[1].second.grad().clone();
  EXPECT_NEAR(optimizer.clip(), std::sqrt(square), 1e-12);
  EXPECT_TRUE(torch::allclose(all[1].second.grad(), before * (2 / (std::sqrt(square) + 1e-6)), 1e-14, 0));
  EXPECT_NEAR(optimizer.clip(), 2, 2e-6);
  for (const auto& [name, tensor] : all) tensor.mutable_grad() = torch::full_like(tensor, 0.01);
  optimizer.clip();
  EXPECT_TRUE(torch::equal(all[1].second.grad(),
                           torch::full_like(all[1].second, 0.01)));  // below the norm nothing changes
}

TEST(Optimizer, OnlyMeasuresTheNormWhenClippingIsOff) {
  const Tensor w = torch::zeros({2}).requires_grad_(true);
  foil::Optimizer optimizer(named("sgd"), {{{{"w", w}}, 1}});
  w.mutable_grad() = torch::tensor({30.0f, 40.0f});
  EXPECT_DOUBLE_EQ(optimizer.clip(), 50);
  EXPECT_TRUE(torch::equal(w.grad(), torch::tensor({30.0f, 40.0f})));
}

TEST(Optimizer, RefusesAStateOfAnotherOptimizerAndKeepsItsOwn) {
  const Tensor w = torch::ones({2}).requires_grad_(true);
  foil::Optimizer sgd(named("sgd"), {{{{"w", w}}, 1}});
  EXPECT_EQ(error_of([&] {
              sgd.load_state({{"w.momentum_bufer", torch::ones({2})}});
            }),
            "5 optimizer state: the tensors do not fit:\n  missing: w.momentum_buffer [2]\n"
            "  unexpected: w.momentum_bufer [2]. Did you mean 'w.momentum_buffer'?");
  EXPECT_EQ(
      error_of([&] {
        sgd.load_state({{"w.momentum_buffer", torch::ones({2}, torch::kDouble)}});
      }),
      "5 optimizer state: the tensors do not fit:\n  dtype: w.momentum_buffer is Double, allowed: Float");
  EXPECT_EQ(sgd.state().at("w.momentum_buffer").abs().max().item<float>(), 0);
}

TEST(Optimizer, RefusesTwoParametersOfOneName) {
  const Tensor w = torch::ones({2});
  EXPECT_EQ(error_of([&] {
              foil::Optimizer(named("sgd"), {{{{"w", w}}, 1}, {{{"w", w}}, 1}});
            }),
            "1 optimizer: two parameters are called w.");
}

TEST(Optimizer, RefusesOtherThanTwoBetas) {
  foil::OptimizerOptions options = named("adam");
  options.betas = {0.9};
  EXPECT_EQ(error_of([&] { foil::Optimizer(options, {}); }),
            "2 optimizer.betas = [0.9], allowed: a list of 2 numbers.");
}

TEST(Optimizer, GroupsTheParametersThatWantAGradient) {
  torch::nn::Linear layer(2, 3);
  layer->bias.requires_grad_(false);
  const foil::ParameterGroup group = foil::parameter_group(*layer, "head.", 0.5);
  ASSERT_EQ(group.parameters.size(), 1u);
  EXPECT_EQ(group.parameters[0].first, "head.weight");
  EXPECT_TRUE(group.parameters[0].second.is_same(layer->weight));
  EXPECT_EQ(group.learning_rate_factor, 0.5);
}

}  // namespace
