// SPDX-License-Identifier: BSD-3-Clause
#include "model/momentum.h"

#include "model/weights.h"

#include <foil/batch_norm.h>

#include <gtest/gtest.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

#include <numbers>

namespace {

using at::Tensor;

// A linear layer and batch norm on vectors. F = 3.
struct Line : foil::Encoder {
  Line() {
    linear = register_module("fc", torch::nn::Linear(torch::nn::LinearOptions(4, 3).bias(false)));
    norm = register_module("bn", std::make_shared<foil::BatchNorm>(3));
  }
  void setup(const foil::EncoderSizes&) override {}
  foil::Features forward(const foil::View& view) override {
    return {norm->forward(linear->forward(view.data)), {}, {}, {}};
  }
  int64_t feature_dim() const override { return 3; }
  torch::nn::Linear linear{nullptr};
  std::shared_ptr<foil::BatchNorm> norm;
};

std::shared_ptr<foil::Tower> tower(uint64_t seed) {
  torch::manual_seed(seed);
  foil::HeadOptions head;
  head.dims = {5, 2};
  const auto made = std::make_shared<foil::Tower>(std::make_shared<Line>(), head, foil::ModelOptions{});
  foil::move_to(*made, at::kCPU, torch::kDouble);
  return made;
}

foil::Views batch(double shift) {
  return {{"vector", foil::Kind::vector, torch::randn({9, 4}, torch::kDouble) + shift, {}, {}, {}, {}}};
}

TEST(Momentum, IsConstantOrGoesToItsEndAlongACosine) {
  foil::MomentumOptions options{
      .value = 0.99, .schedule = foil::MomentumOptions::Schedule::constant, .final_value = 1};
  EXPECT_EQ(foil::momentum_at(options, 17, 100), 0.99);
  options.schedule = foil::MomentumOptions::Schedule::cosine;
  EXPECT_NEAR(foil::momentum_at(options, 0, 100), 0.99, 1e-15);
  EXPECT_NEAR(foil::momentum_at(options, 50, 100), 0.995, 1e-15);
  EXPECT_NEAR(foil::momentum_at(options, 25, 100), 1 - 0.01 * (std::cos(std::numbers::pi / 4) + 1) / 2,
              1e-15);
  options.final_value = 0.999;
  EXPECT_NEAR(foil::momentum_at(options, 100, 100), 0.999, 1e-15);
}

TEST(Momentum, StartsAsACopyThatLearnsByNoGradient) {
  const auto online = tower(1), target = tower(2);
  online->forward(batch(3));  // moves the running statistics
  foil::copy_tower(*online, *target);
  for (const auto& [name, tensor] : foil::named_tensors(*online)) {
    EXPECT_TRUE(torch::equal(foil::named_tensors(*target).at(name), tensor)) << name;
    EXPECT_FALSE(foil::named_tensors(*target).at(name).is_same(tensor)) << name;
  }
  for (const Tensor& parameter : target->parameters()) EXPECT_FALSE(parameter.requires_grad());
  for (const Tensor& parameter : online->parameters()) EXPECT_TRUE(parameter.requires_grad());
}

TEST(Momentum, MovesParametersOnlyAsTheFormulaSays) {
  const auto online = tower(1), target = tower(2);
  online->forward(batch(5));
  target->forward(batch(-5));
  std::map<std::string, Tensor> before;
  for (const auto& [name, tensor] : foil::named_tensors(*target)) before[name] = tensor.detach().clone();
  foil::follow(*online, *target, 0.9);
  foil::follow(*online, *target, 0.7);
  for (const auto& item : target->named_parameters()) {
    const Tensor leader = online->named_parameters()[item.key()];
    const Tensor expected = 0.7 * (0.9 * before.at(item.key()) + 0.1 * leader) + 0.3 * leader;
    EXPECT_TRUE(torch::allclose(item.value(), expected, 1e-14, 1e-14)) << item.key();
  }
  ASSERT_EQ(target->named_buffers().size(), 6u);  // of two batch norms
  for (const auto& item : target->named_buffers()) {
    EXPECT_TRUE(torch::equal(item.value(), before.at(item.key())))
        << item.key() << " is a statistic of its own";
    EXPECT_EQ(item.value().scalar_type() == torch::kLong, item.key().ends_with("num_batches_tracked"))
        << item.key();
  }
}

TEST(Momentum, OfOneChangesNoBit) {
  const auto online = tower(1), target = tower(2);
  const Tensor before = target->parameters()[0].detach().clone();
  foil::follow(*online, *target, 1);
  EXPECT_TRUE(torch::equal(target->parameters()[0], before));
}

TEST(Momentum, LeavesThePredictorToTheOnlineTower) {
  const auto online = tower(1), target = tower(2);
  online->add_predictor({});
  foil::move_to(*online, at::kCPU, torch::kDouble);
  foil::follow(*online, *target, 0);
  for (const auto& item : target->named_parameters())
    EXPECT_TRUE(torch::equal(item.value(), online->named_parameters()[item.key()])) << item.key();
}

}  // namespace
