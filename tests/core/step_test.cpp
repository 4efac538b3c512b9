// SPDX-License-Identifier: BSD-3-Clause
// The parts of a step one by one, on hand-made towers, losses and ranks.
#include "step.h"

#include "ranks/in_process.h"
#include "run/safetensors.h"
#include "tests/core/line_tower.h"
#include "tests/support/error_of.h"
#include "tests/support/temp_folder.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <filesystem>
#include <limits>

namespace foil {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Views random_views(int64_t count, int64_t samples = 5) {
  Views views;
  for (int64_t v = 0; v < count; ++v)
    views.push_back({"vector", Kind::vector, torch::randn({samples, 4}), {}, {}, {}, {}});
  return views;
}

// The sum of the first view; it keeps what it was called with.
struct Sees final : Loss {
  explicit Sees(Needs needs) : needs_(std::move(needs)) {}
  Needs needs() const override { return needs_; }
  Tensor forward(const LossInput& input) override { return input.z[0].sum(); }
  void after_step(const LossInput& input) override {
    EXPECT_FALSE(torch::GradMode::is_enabled());
    slots.push_back(input.slot);
  }
  Needs needs_;
  std::vector<uint64_t> slots;
};

LossTerm term(const std::string& name, Needs needs, double weight = 1) {
  LossTerm made{name, std::make_shared<Sees>(needs), weight, 1, {}};
  for (const QueueNeed& need : needs.queues)
    made.queues.push_back(std::make_shared<QueueStore>(need, 2, /*key=*/7));
  return made;
}

// What the heads give of two views.
LossInput heads(int64_t samples = 3) {
  LossInput input;
  for (int v = 0; v < 2; ++v) {
    input.z.push_back((5 * torch::randn({samples, 2})).requires_grad_());
    input.h.push_back(torch::randn({samples, 3}));
  }
  input.target = {5 * torch::randn({samples, 2})};
  input.index = torch::arange(samples);
  input.label = torch::arange(samples);
  input.ranks = World::single();
  return input;
}

TEST(TargetEmbeddings, AreTheMomentumTowersZOfTheFullViewsWithoutGradient) {
  const auto momentum = std::make_shared<Model>(test::line_tower(2));
  const Views views = random_views(3);
  const std::vector<Tensor> got = target_embeddings(momentum.get(), views, 2, false);
  const std::vector<Tensor> want = momentum->forward({views[0], views[1]}).z;
  ASSERT_EQ(got.size(), 2u);
  for (size_t v = 0; v < 2; ++v) {
    EXPECT_TRUE(torch::equal(got[v], want[v]));
    EXPECT_FALSE(got[v].requires_grad());
  }
  EXPECT_TRUE(target_embeddings(nullptr, views, 2, false).empty());
}

TEST(StepInput, HoldsWhatTheHeadsGaveAndWhereTheRunStands) {
  Experiment experiment;
  experiment.steps_per_epoch = 4;
  experiment.plan.run.seed = 9;
  experiment.sizes.dataset_size = 17;
  Batch batch;
  batch.index = torch::tensor({3, 1});
  batch.label = torch::tensor({0, 1});
  const Tensor h = torch::ones({2, 3}), z = torch::ones({2, 2}), p = z + 1, target = z + 2;
  const Views views = random_views(1, 2);
  const LossInput input =
      step_input(experiment, World::single(), batch, views, {{h}, {z}, {p}, {h + 1}}, {target}, 11);
  EXPECT_TRUE(input.h.at(0).is_same(h) && input.z.at(0).is_same(z) && input.p.at(0).is_same(p));
  EXPECT_TRUE(input.target.at(0).is_same(target));
  EXPECT_TRUE(torch::equal(input.decoded.at(0), h + 1));
  EXPECT_TRUE(input.views.at(0).data.is_same(views[0].data));
  EXPECT_TRUE(torch::equal(input.index, batch.index));
  EXPECT_TRUE(torch::equal(input.label, batch.label));
  EXPECT_EQ(input.step, 11);
  EXPECT_EQ(input.epoch, 2);
  EXPECT_EQ(input.seed, 9u);
  EXPECT_EQ(input.sizes.dataset_size, 17);
  EXPECT_EQ(input.ranks->world_size(), 1);
}

TEST(LossInputs, GiveEachLossWhatItAsksForInItsScale) {
  const LossInput given = heads();
  const std::vector<LossTerm> losses{
      term("plain", {}), term("raw", {.labels = true, .features = true, .raw_z = true, .target = true}),
      term("queued", {.queues = {{.length = 4, .index = true}, {.length = 6}}})};
  const std::vector<LossInput> inputs = loss_inputs(losses, given, {});
  ASSERT_EQ(inputs.size(), 3u);
  for (size_t i = 0; i < inputs.size(); ++i) {
    EXPECT_EQ(inputs[i].slot, i);
    EXPECT_TRUE(torch::equal(inputs[i].index, given.index));
  }
  EXPECT_TRUE(torch::allclose(inputs[0].z[1], unit(given.z[1])));
  EXPECT_TRUE(inputs[0].z[1].requires_grad());
  EXPECT_TRUE(inputs[0].h.empty() && inputs[0].target.empty() && inputs[0].queue.empty());
  EXPECT_FALSE(inputs[0].label.defined());

  EXPECT_TRUE(torch::equal(inputs[1].z[1], given.z[1]));
  EXPECT_TRUE(torch::equal(inputs[1].target.at(0), given.target[0]));
  EXPECT_TRUE(torch::equal(inputs[1].h.at(1), given.h[1]));
  EXPECT_TRUE(inputs[1].label.defined());

  ASSERT_EQ(inputs[2].queue.size(), 2u);
  EXPECT_EQ(inputs[2].queue[0].data.sizes(), (std::vector<int64_t>{4, 2}));
  EXPECT_TRUE(inputs[2].queue[0].index.defined());
  EXPECT_EQ(inputs[2].queue[1].data.sizes(), (std::vector<int64_t>{6, 2}));
  EXPECT_FALSE(inputs[2].queue[1].index.defined());
}

TEST(LossInputs, OfALossWithViewsAreThoseViewsInItsOrder) {
  LossInput given = heads();
  given.sizes.full_views = 1;
  std::vector<LossTerm> losses{term("some", {.features = true, .raw_z = true, .target = true})};
  losses[0].views = {1, 0};
  const LossInput seen = loss_inputs(losses, given, {}).at(0);
  ASSERT_EQ(seen.z.size(), 2u);
  EXPECT_TRUE(torch::equal(seen.z[0], given.z[1]) && torch::equal(seen.z[1], given.z[0]));
  EXPECT_TRUE(torch::equal(seen.h[0], given.h[1]));
  EXPECT_EQ(seen.target.size(), 1u) << "view 1 has none";
  EXPECT_EQ(seen.sizes.views, 2);
  EXPECT_EQ(seen.sizes.full_views, 1);
}

TEST(LossInputs, HaveViewsDecodedAndWeightsWhereTheLossAsksForThem) {
  LossInput given = heads();
  given.views = random_views(2, 3);
  given.decoded = {torch::ones({3, 4}), torch::zeros({3, 4})};
  given.weights = {{"encoder.layer.weight", torch::ones({2})}, {"other", torch::ones({2})}};
  std::vector<LossTerm> losses{
      term("all", {.decoded = true, .views = true, .weights = {"encoder.layer.weight"}}), term("none", {})};
  losses[0].views = {1};
  const std::vector<LossInput> inputs = loss_inputs(losses, given, {});
  ASSERT_EQ(inputs[0].views.size(), 1u);
  EXPECT_TRUE(inputs[0].views[0].data.equal(given.views[1].data));
  EXPECT_TRUE(inputs[0].decoded.at(0).equal(given.decoded[1]));
  EXPECT_TRUE(inputs[0].weight("encoder.layer.weight").is_same(given.weights["encoder.layer.weight"]));
  EXPECT_EQ(inputs[0].weights.size(), 1u);
  EXPECT_TRUE(inputs[1].views.empty() && inputs[1].decoded.empty() && inputs[1].weights.empty());
}

TEST(EvaluateLosses, GivesEachValueAndTheirWeightedSum) {
  const std::vector<LossTerm> losses{term("a", {.raw_z = true}, 2), term("b", {}, 0.5)};
  const std::vector<LossInput> inputs = loss_inputs(losses, heads(), {});
  const LossValues values = evaluate_losses(losses, inputs);
  ASSERT_EQ(values.each.size(), 2u);
  for (size_t i = 0; i < 2; ++i) EXPECT_TRUE(torch::allclose(values.each[i], inputs[i].z[0].sum()));
  EXPECT_TRUE(torch::allclose(values.total, 2 * values.each[0] + 0.5 * values.each[1]));
  EXPECT_TRUE(values.total.requires_grad());
}

TEST(AfterStep, MovesEveryLossAndThenItsQueues) {
  const std::vector<LossTerm> losses{
      term("a", {}),
      term("b", {.queues = {{.length = 4, .source = QueueNeed::Source::online, .view = 1, .label = true}}})};
  const std::vector<LossInput> inputs = loss_inputs(losses, heads(), {});
  after_step(losses, inputs);
  for (size_t i = 0; i < 2; ++i)
    EXPECT_EQ(static_cast<Sees&>(*losses[i].loss).slots, std::vector<uint64_t>{i});
  EXPECT_EQ(losses[1].queues[0]->look().filled, 0);
  enqueue(losses, inputs, torch::tensor({7, 8, 9}));
  const Queue queue = losses[1].queues[0]->look();
  EXPECT_EQ(queue.filled, 3);
  EXPECT_TRUE(torch::equal(queue.data.slice(0, 0, 3), inputs[1].z[1]));
  EXPECT_TRUE(torch::equal(queue.label, torch::tensor({7, 8, 9, -1})));
}

// The values of losses "a" and "b" on a rank, of which one reports a part.
StepValues values_of(const World& world, bool several) {
  const double r = static_cast<double>(world.rank());
  std::vector<LossTerm> losses{{"a", nullptr, 1, 1, {}}};
  std::vector<LossInput> inputs(several ? 2 : 1);
  LossValues values{torch::full({}, 10 + r), {torch::full({}, r)}};
  inputs[0].report("part", torch::full({}, 4 * r));
  if (several) {
    losses.push_back({"a", nullptr, 1, 1, {}});
    values.each.push_back(torch::full({}, 2 - r));
  }
  return {losses, inputs, values};
}

TEST(StepValues, AreAveragesOverRanksUnderTheNamesOfTheLosses) {
  in_process_ranks(2, [](World& world) {
    StepValues one = values_of(world, false), two = values_of(world, true);
    one.average(world, Stop::none);
    two.average(world, Stop::none);
    EXPECT_EQ(one.row(), (nlohmann::json{{"loss", 10.5}, {"a.part", 2.0}}));
    EXPECT_EQ(one.loss(), 10.5);
    EXPECT_EQ(two.row(),
              (nlohmann::json{{"loss", 10.5}, {"loss.0.a", 0.5}, {"loss.0.a.part", 2.0}, {"loss.1.a", 1.5}}));
  });
}

TEST(StepValues, TellEveryRankThatOneIsAskedToStop) {
  struct {
    Stop first, second, all;
  } const cases[] = {{Stop::none, Stop::none, Stop::none},
                     {Stop::none, Stop::again, Stop::again},
                     {Stop::interrupt, Stop::none, Stop::interrupt},
                     {Stop::again, Stop::interrupt, Stop::interrupt}};
  for (const auto& test : cases) {
    in_process_ranks(2, [&](World& world) {
      StepValues values = values_of(world, true);
      values.average(world, world.rank() == 0 ? test.first : test.second);
      EXPECT_EQ(values.stop(), test.all);
      EXPECT_EQ(values.row().size(), 4u) << "the request is no number of the step";
    });
  }
}

TEST(FirstBad, NamesTheFirstTensorOfTheForwardPassThatIsNotFinite) {
  const Views views = random_views(2);
  const auto clean = [] {
    LossInput input = heads();
    input.p = {torch::zeros({3, 2})};
    return input;
  };
  const std::vector<Tensor> losses{torch::zeros({}), torch::ones({})};
  EXPECT_EQ(first_bad(views, clean(), losses), "");

  const Tensor bad = torch::full({3, 2}, kNan);
  EXPECT_EQ(first_bad(views, clean(), {losses[0], torch::full({}, kNan)}), "loss 1");
  LossInput input = clean();
  input.target[0] = bad;
  EXPECT_EQ(first_bad(views, input, losses), "target[0]");
  input.p[0] = bad;
  EXPECT_EQ(first_bad(views, input, losses), "prediction p[0]");
  input.z[1] = torch::full({3, 2}, std::numeric_limits<double>::infinity());
  EXPECT_EQ(first_bad(views, input, losses), "projection z[1]");
  input.h[1] = bad / 0;
  EXPECT_EQ(first_bad(views, input, losses), "features h[1]");
  Views broken = views;
  broken[1].edges.weight = bad;
  EXPECT_EQ(first_bad(broken, input, losses), "edge weights of view 1");
  broken[1].data = bad;
  EXPECT_EQ(first_bad(broken, input, losses), "view 1");
}

TEST(FirstBad, NamesTheParameterWhoseGradientIsNotFinite) {
  std::vector<std::pair<std::string, Tensor>> parameters;
  for (const char* name : {"a", "b", "c"}) parameters.emplace_back(name, torch::zeros({2}).requires_grad_());
  parameters[1].second.mutable_grad() = torch::ones({2});
  parameters[2].second.mutable_grad() = torch::ones({2});
  EXPECT_EQ(first_bad_gradient(parameters), "norm of the gradients");
  parameters[2].second.mutable_grad() = torch::full({2}, kNan);
  EXPECT_EQ(first_bad_gradient(parameters), "gradient of c");
}

TEST(StopNonFinite, TellsEveryRankAndSavesTheBatchOfTheOneThatHasIt) {
  const test::TempFolder folder;
  Views views = random_views(2, 3);
  views[1].key = torch::tensor({5, 6, 7});
  Batch batch;
  batch.index = torch::tensor({2, 0, 1});
  const auto stop = [&](bool found) {
    in_process_ranks(2, [&](World& world) {
      const Recorder record(world.rank() == 0 ? folder.path() : "", 1, /*quiet=*/true);
      stop_non_finite(world, record, 7, found && world.rank() == 1 ? "projection z[1]" : "", batch, views);
    });
  };
  const std::string path = folder / "non_finite-step7-rank1.safetensors";
  EXPECT_EQ(test::error_of([&] { stop(true); }),
            "4 rank 1: step 7: non-finite projection z[1] on rank 1; its batch is in " + path);
  const TensorFile saved = load_tensors(path);
  EXPECT_EQ(saved.metadata.at("what"), "projection z[1]");
  EXPECT_EQ(saved.metadata.at("step"), "7");
  ASSERT_EQ(saved.tensors.size(), 4u);
  EXPECT_TRUE(torch::equal(saved.tensors.at("index"), batch.index));
  EXPECT_TRUE(torch::equal(saved.tensors.at("view.0"), views[0].data));
  EXPECT_TRUE(torch::equal(saved.tensors.at("key.1"), views[1].key));
  EXPECT_FALSE(std::filesystem::exists(folder / "non_finite-step7-rank0.safetensors"));

  const std::string agreed = test::error_of([&] { stop(false); });
  EXPECT_TRUE(agreed.starts_with("4 ") &&
              agreed.ends_with("step 7: non-finite sum of losses that are finite"))
      << agreed;
}

}  // namespace
}  // namespace foil
