// SPDX-License-Identifier: BSD-3-Clause
// What a checkpoint holds of an experiment, and that it comes back: into the same one, not into another.
#include "resume.h"

#include "model/weights.h"
#include "ranks/in_process.h"
#include "run/checkpoint.h"
#include "tests/core/line_tower.h"
#include "tests/support/error_of.h"
#include "tests/support/temp_folder.h"

#include <gtest/gtest.h>
#include <torch/types.h>

namespace foil {
namespace {

using Tensors = std::map<std::string, Tensor>;

// A loss with a parameter and a state per sample.
struct Remembers final : Loss {
  void setup(const Sizes&) override {
    register_parameter("scale", torch::ones({1}));
    register_buffer("seen", torch::zeros({6}));
  }
  Tensor forward(const LossInput& input) override { return input.z[0].sum(); }
};

// An experiment of 10 steps, with every tensor that has state filled with `value`; and its optimizer after a
// step.
struct Training {
  explicit Training(double value, int64_t width = 2) {
    experiment.model = std::make_shared<Model>(test::line_tower(width));
    experiment.momentum = std::make_shared<Model>(test::line_tower(width));
    const auto loss = std::make_shared<Remembers>();
    loss->setup({});
    const QueueNeed need{.length = 4, .label = true};
    experiment.losses.push_back(
        {"remembers", loss, 1, 1, {std::make_shared<QueueStore>(need, width, /*key=*/7)}});
    experiment.total_steps = 10;
    optimizer = std::make_unique<Optimizer>(
        OptimizerOptions{}, std::vector{parameter_group(*experiment.model->parts()[0].tower, "tower.", 1),
                                        parameter_group(*loss, "loss.0.", 1)});
    torch::NoGradGuard no_grad;
    for (const auto& [name, tensor] : state()) Tensor(tensor).fill_(value);
  }
  Tensors state() const {
    Tensors all;
    for (const auto& [prefix, module] : experiment.modules())
      for (const auto& [name, tensor] : named_tensors(*module)) all[prefix + name] = tensor;
    for (const auto& [name, tensor] : optimizer->state()) all["optimizer." + name] = tensor;
    return all;
  }
  void expect_filled_with(double value) const {
    for (const auto& [name, tensor] : state())
      EXPECT_TRUE(torch::equal(tensor, torch::full_like(tensor, value))) << name;
  }
  Checkpoint captured(const Reached& reached) const {
    return capture(experiment, *optimizer, *World::single(), reached);
  }

  Experiment experiment;
  std::unique_ptr<Optimizer> optimizer;
};

class Resume : public ::testing::Test {
 protected:
  void save(const Checkpoint& checkpoint) const { Checkpoints(folder_ / "checkpoints", 2).save(checkpoint); }
  // What restore() returns; what it said goes to said_.
  Reached restored(Training& into) {
    Recorder record(folder_.path(), 2, /*quiet=*/false);
    testing::internal::CaptureStderr();
    std::optional<Reached> reached;
    error_ = test::error_of(
        [&] { reached = restore(record, into.experiment, *into.optimizer, *World::single()); });
    said_ = testing::internal::GetCapturedStderr();
    return reached.value_or(Reached{-1, {}, {}});
  }
  bool said(const std::string& text) const { return said_.find(text) != std::string::npos; }

  const test::TempFolder folder_;
  std::string error_, said_;
};

TEST_F(Resume, ACheckpointHoldsEveryTensorUnderTheNameOfItsModule) {
  const Checkpoint checkpoint = Training(1).captured({3, 0.5, "low rank"});
  std::vector<std::string> names;
  for (const auto& [name, tensor] : checkpoint.tensors) names.push_back(name);
  EXPECT_EQ(
      names,
      (std::vector<std::string>{
          "generator.0", "loss.0.scale", "loss.0.seen", "momentum.encoder.layer.bias",
          "momentum.encoder.layer.weight", "momentum.head.0.bias", "momentum.head.0.weight",
          "optimizer.loss.0.scale.momentum_buffer", "optimizer.tower.encoder.layer.bias.momentum_buffer",
          "optimizer.tower.encoder.layer.weight.momentum_buffer",
          "optimizer.tower.head.0.bias.momentum_buffer", "optimizer.tower.head.0.weight.momentum_buffer",
          "queue.0.0.data", "queue.0.0.entered", "queue.0.0.label", "tower.encoder.layer.bias",
          "tower.encoder.layer.weight", "tower.head.0.bias", "tower.head.0.weight"}));
  EXPECT_EQ(checkpoint.step, 3);
  EXPECT_EQ(checkpoint.said("loss"), 0.5);
  EXPECT_EQ(checkpoint.said("total steps"), 10);
  EXPECT_EQ(checkpoint.said("conditions")["world size"], 1);
  EXPECT_EQ(checkpoint.said("collapse")["finding"], "low rank");
}

TEST_F(Resume, EverythingComesBackAndTheGeneratorGoesOn) {
  torch::manual_seed(5);
  save(Training(2).captured({3, 0.5, "low rank"}));
  const Tensor next = torch::rand({4});
  Training other(1);
  torch::manual_seed(6);
  const Reached reached = restored(other);
  EXPECT_EQ(error_, "no error");
  EXPECT_EQ(said_, "resumed at step 3\n");
  EXPECT_EQ(reached.step, 3);
  EXPECT_EQ(reached.loss, 0.5);
  EXPECT_EQ(reached.collapse, "low rank");
  other.expect_filled_with(2);
  EXPECT_TRUE(torch::equal(torch::rand({4}), next));
}

TEST_F(Resume, WithoutACheckpointNothingHappens) {
  Training fresh(1);
  const Reached reached = restored(fresh);
  EXPECT_EQ(reached.step, 0);
  EXPECT_FALSE(reached.loss);
  EXPECT_EQ(said_, "");
  fresh.expect_filled_with(1);
}

TEST_F(Resume, EveryTensorThatDoesNotFitIsNamedAndNothingIsWritten) {
  Training other(1, /*width=*/5);
  save(Training(2).captured({3, {}, {}}));
  restored(other);
  EXPECT_TRUE(error_.starts_with("5 checkpoint: the tensors do not fit:\n")) << error_;
  for (const char* name : {"tower.head.0.weight", "momentum.head.0.bias", "queue.0.0.data"})
    EXPECT_NE(error_.find(name), std::string::npos) << name << "\n" << error_;
  EXPECT_EQ(error_.find("encoder.layer"), std::string::npos) << error_;
  other.expect_filled_with(1);
}

TEST_F(Resume, AnotherNumberOfStepsIsSaidWithItsLearningRate) {
  save(Training(2).captured({5, {}, {}}));
  Training longer(1);
  longer.experiment.total_steps = 20;
  Node schedule;
  schedule.set("name", {std::string("cosine"), {}, {}});
  longer.experiment.plan.resolved.set("schedule", schedule);
  EXPECT_EQ(restored(longer).step, 5);
  EXPECT_TRUE(
      said("goes on to 20 steps instead of 10: from here on the cosine schedule is that of 20 steps: "
           "learning rate 0.000854 at this step instead of 0.0005"))
      << said_;
}

TEST_F(Resume, ACheckpointAfterTheLastStepIsRefused) {
  save(Training(2).captured({12, {}, {}}));
  Training shorter(1);
  restored(shorter);
  EXPECT_EQ(error_, "5 the checkpoint is of step 12, the experiment has 10 steps.");
  shorter.expect_filled_with(1);
}

TEST_F(Resume, OtherConditionsAreSaid) {
  Checkpoint checkpoint = Training(2).captured({3, {}, {}});
  checkpoint.state["conditions"]["world size"] = 4;
  save(checkpoint);
  Training other(1);
  restored(other);
  EXPECT_TRUE(
      said("resumed with another setting of world size: 4 -> 1; "
           "results stay right, but bits may differ from an uninterrupted run\n"))
      << said_;
}

TEST_F(Resume, AFindingOfTheAlarmCountsAsLongAsTheAlarmIsTheSame) {
  save(Training(2).captured({3, {}, "low rank"}));
  Training other(1);
  Node options;
  options.set("action", {std::string("stop"), {}, {}});
  other.experiment.plan.resolved.set("collapse", options);
  EXPECT_EQ(restored(other).collapse, "");
}

TEST_F(Resume, EveryRankGetsWhatTheFirstHasRead) {
  Checkpoint checkpoint = Training(2).captured({3, 0.5, "low rank"});
  checkpoint.tensors.erase("generator.0");  // ranks that are threads share one
  save(checkpoint);
  in_process_ranks(2, [&](World& world) {
    Training mine(static_cast<double>(10 + world.rank()));
    Recorder record(world.rank() == 0 ? folder_.path() : "", 2, /*quiet=*/true);
    const Reached reached = restore(record, mine.experiment, *mine.optimizer, world);
    EXPECT_EQ(reached.step, 3);
    EXPECT_EQ(reached.collapse, "low rank");
    mine.expect_filled_with(2);
  });
}

TEST_F(Resume, WhatDoesNotFitEndsEveryRank) {
  save(Training(2).captured({3, {}, {}}));
  const std::string error = test::error_of([&] {
    in_process_ranks(2, [&](World& world) {
      Training mine(1, /*width=*/5);
      Recorder record(world.rank() == 0 ? folder_.path() : "", 2, /*quiet=*/true);
      restore(record, mine.experiment, *mine.optimizer, world);
    });
  });
  EXPECT_TRUE(error.starts_with("5 rank 0: checkpoint: the tensors do not fit:\n")) << error;
}

TEST_F(Resume, AnEvaluationNeedsTheWeightsAlone) {
  const Checkpoint checkpoint = Training(2).captured({3, {}, {}});
  Training other(1);
  restore_weights(checkpoint, other.experiment.modules());
  for (const auto& [name, tensor] : other.state()) {
    const double value = name.starts_with("optimizer.") ? 1 : 2;
    EXPECT_TRUE(torch::equal(tensor, torch::full_like(tensor, value))) << name;
  }
}

}  // namespace
}  // namespace foil
