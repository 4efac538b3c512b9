// SPDX-License-Identifier: BSD-3-Clause
// The world size does not change the experiment: one, two and three real processes train and measure the
// same.
#include "data/builtin.h"
#include "data/loader.h"
#include "experiment/experiment.h"
#include "plugins/loader.h"
#include "step.h"
#include "tests/program/world_size.h"

namespace foil {
namespace {

const std::vector<std::string> kVonMisesFisher = {"--set", "loss.weighting=von_mises_fisher"};
const std::vector<std::string> kThreeViews = {"--set", "views.count=3"};
// Targets, predictions and three queues, two of which split a batch at their end; with two small crops beside
// the full views.
const char* const kMomentum =
    "[[loss]]\nname = \"nnclr\"\nqueue_length = 100\n[[loss]]\nname = \"byol\"\n[[loss]]\nname = \"moco\"\n"
    "queue_length = 150\ndirections = \"mean\"\n[momentum]\nvalue = 0.9\n[predictor]\nhidden = [12]\n";
const char* const kCrops =
    "[[loss]]\nname = \"byol\"\n[[loss]]\nname = \"dino\"\n[views]\ncount = 4\nfull = 2\n[momentum]\n"
    "value = 0.9\n[[augment]]\nname = \"random_resized_crop\"\nsize = [8, 8]\nviews = [2, 3]\n";
// Images and vectors of the same samples, an encoder each, and losses of all three views and of two.
const std::vector<std::string> kModalities = {"--set", "data.modalities=[\"image\", \"vector\"]",
                                              "--set", "data.features=6",
                                              "--set", "loss.0.views=[0, 2]"};
const char* const kTowers =
    "[views]\nof = [\"image\", \"image\", \"vector\"]\n[encoder.vector]\nname = \"mlp\"\nwidths = [16, 12]\n"
    "[[loss]]\nname = \"mv_infonce\"\n[[loss]]\nname = \"byol\"\nviews = [2, 0]\n[momentum]\nvalue = 0.9\n"
    "[predictor]\nhidden = [12]\n";
const std::vector<std::string> kLargeTest = {"--set", "data.test_samples=10001"};

void expect_world_size_is_nothing(const std::string& loss, const std::vector<std::string>& more = {},
                                  const std::string& tables = "") {
  SCOPED_TRACE(loss);
  expect_world_size_is_nothing_to(small_experiment("", loss) + tables, more);
}

// |a - b| / |b| of each loss, at its largest so far.
std::vector<double> parting(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> distance;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    distance.push_back(
        std::max(distance.empty() ? 0 : distance.back(), std::abs(a[i] - b[i]) / std::abs(b[i])));
  return distance;
}

// Trains a smooth tower in fp64 on one rank and in fp32 on 1, 2 and 3. Where nothing has a kink, rounding of
// one size is amplified alike however the batch is divided: 2 and 3 ranks stay as close to fp64 as one rank
// does, within a factor for the luck of rounding. That holds on any processor, where a fixed bound does not:
// how fast trajectories part is a property of the experiment.
void expect_ranks_to_round_as_one(const std::string& loss, const std::vector<std::string>& more = {}) {
  constexpr double kLuck = 16, kLeast = 1.2e-7;  // fp32's epsilon: the losses themselves are rounded
  std::string experiment = small_experiment("", loss);
  experiment.replace(experiment.find("small_cnn"), 9, "smooth");
  experiment.replace(experiment.find("dims = [16, 8]"), 14, "dims = [16, 8]\nactivation = \"gelu\"");
  const auto in_double = trained(experiment, "fp64", "1", more),
             alone = trained(experiment, "fp32", "1", more);
  const std::vector<double> exact = RunView(*in_double).losses();
  ASSERT_EQ(exact.size(), 20u);
  const std::vector<double> own = parting(RunView(*alone).losses(), exact);
  EXPECT_LT(own.back(), 1e-4) << "rounding grows so fast that the comparison says little";
  for (const char* ranks : {"2", "3"}) {
    const auto place = trained(experiment, "fp32", ranks, more);
    const std::vector<double> got = parting(RunView(*place).losses(), exact);
    ASSERT_EQ(got.size(), exact.size());
    for (size_t i = 0; i < got.size(); ++i)
      EXPECT_LE(got[i], kLuck * std::max(own[i], kLeast)) << ranks << " ranks, " << loss << ", row " << i;
  }
}

TEST(WorldSize, ChangesNoLossWeightStatisticOrEvaluationOfInfonce) {
  expect_world_size_is_nothing("infonce", kLargeTest);
}
TEST(WorldSize, ChangesNothingWithThreeViews) { expect_world_size_is_nothing("infonce", kThreeViews); }
TEST(WorldSize, ChangesNothingForDclwWhoseWeightIsOverTheGlobalBatch) {
  expect_world_size_is_nothing("dcl", kVonMisesFisher);
}
TEST(WorldSize, ChangesNothingForQueuesMomentumTowerAndPredictor) {
  expect_world_size_is_nothing("infonce", {}, kMomentum);
}
TEST(WorldSize, ChangesNothingForSmallCropsPrototypesAndCentre) {
  expect_world_size_is_nothing("swav",
                               {"--set", "head.frozen_epochs=2", "--set", "loss.0.prototypes=12", "--set",
                                "loss.0.queue_length=128", "--set", "loss.0.queue_start_epoch=1"},
                               kCrops);
}
TEST(WorldSize, ChangesNothingForAnEncoderWithDropoutAndStochasticDepth) {
  expect_world_size_is_nothing("infonce", {"--set", "encoder.name=dropping"});
}
TEST(WorldSize, ChangesNothingForSeveralModalitiesWithATowerEach) {
  expect_world_size_is_nothing("clip", kModalities, kTowers);
}
TEST(WorldSize, ChangesInfonceByRoundingInSinglePrecision) { expect_ranks_to_round_as_one("infonce"); }
TEST(WorldSize, ChangesDclwByRoundingInSinglePrecision) {
  expect_ranks_to_round_as_one("dcl", kVonMisesFisher);
}

TEST(FrozenEpochs, HoldTheHeadsLastLayerOnEveryRankForSoLongAndNoLonger) {
  const auto last_layer = [](const char* steps) {  // an epoch has 4
    Workplace place;
    place.write("small.toml", small_experiment());
    const Outcome outcome =
        foil_within(place, {"train", "small.toml", "--quiet", "--nproc", "2", "--set", "head.frozen_epochs=1",
                            "--set", "optimizer.name=adamw", "--set", "optimizer.weight_decay=0.1", "--set",
                            std::string("run.steps=") + steps});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return RunView(place).state();
  };
  const auto untrained = last_layer("0"), held = last_layer("4"), learning = last_layer("5");
  for (const char* name : {"tower.head.3.weight", "tower.head.3.bias"}) {
    EXPECT_TRUE(torch::equal(held.at(name), untrained.at(name))) << name;
    EXPECT_FALSE(torch::equal(learning.at(name), untrained.at(name))) << name;
  }
  EXPECT_FALSE(torch::equal(held.at("tower.head.0.weight"), untrained.at("tower.head.0.weight")));
}

// small_experiment() and further tables, built in this process.
Experiment built(const std::string& tables) {
  Registry& registry = Registry::instance();
  static const bool loaded = [&] {
    registry.enter("built in", register_builtin_data);
    load_plugins(plugin_folders({}), registry);
    return true;
  }();
  EXPECT_TRUE(loaded);
  Workplace place;
  place.write("all.toml", small_experiment() + tables);
  const auto find = [&](const std::string& kind, const std::string& name,
                        const std::string& where) -> const Component& {
    return registry.find(kind, name, where);
  };
  return build(check(load_trials((place.folder / "all.toml").string(), {}).at(0).root, find), at::kCPU);
}

TEST(View, HasTheSameBitsOnEveryRankAndAtEveryPositionOfTheBatch) {
  at::set_num_threads(1);
  const Experiment x = built(
      "[[augment]]\nname = \"grayscale\"\nprobability = 0.5\n[[augment]]\nname = \"gaussian_blur\"\n"
      "probability = 0.5\n[[augment]]\nname = \"solarize\"\nprobability = 0.5\n[[augment]]\n"
      "name = \"normalize\"\n");
  const auto view_of = [&](const Tensor& index, int64_t step, int64_t v) {
    return x.pipeline->training_view(x.dataset->read(Split::train, index), index, step, v).data;
  };
  for (const int64_t step : {0, 7}) {
    const Tensor index = x.sampler->batch(step);
    ASSERT_EQ(index.size(0), 64);
    for (const int64_t v : {0, 1}) {
      const Tensor whole = view_of(index, step, v);
      EXPECT_FALSE(torch::equal(whole, view_of(index, step + 1, v))) << "a step has draws of its own";
      for (const int64_t world : {2, 3}) {
        for (int64_t rank = 0; rank < world; ++rank) {
          const auto [begin, end] = rank_block(64, world, rank);
          EXPECT_TRUE(torch::equal(view_of(index.slice(0, begin, end).contiguous(), step, v),
                                   whole.slice(0, begin, end)))
              << "rank " << rank << " of " << world << ", step " << step << ", view " << v;
        }
      }
      const Tensor back = index.flip(0).contiguous();
      EXPECT_TRUE(torch::equal(view_of(back, step, v), whole.flip(0))) << "batch in reverse";
      for (const int64_t b : {0, 31, 63})
        EXPECT_TRUE(torch::equal(view_of(index.slice(0, b, b + 1).contiguous(), step, v)[0], whole[b]))
            << "alone, row " << b;
    }
  }
}

TEST(View, CarriesTheKeysOfItsSamplesWhateverTheAugmentationsAreAndNoneInEvaluation) {
  const Experiment x = built("");
  const Tensor index = x.sampler->batch(3);
  const auto key = [&](const Tensor& rows, int64_t step, int64_t v) {
    return x.pipeline->training_view(x.dataset->read(Split::train, rows), rows, step, v).key;
  };
  const Tensor keys = key(index, 3, 1);
  EXPECT_EQ(keys.sizes(), index.sizes());
  EXPECT_TRUE(torch::equal(key(index.slice(0, 5, 9).contiguous(), 3, 1), keys.slice(0, 5, 9)));
  for (const Tensor& other : {key(index, 3, 0), key(index, 4, 1)})
    EXPECT_FALSE((keys == other).any().item<bool>());
  EXPECT_EQ(std::get<0>(at::_unique(keys)).size(0), 64);
  EXPECT_FALSE(x.pipeline->evaluation_view(x.dataset->read(Split::train, index)).key.defined());
}

TEST(View, HasAPipelineOfItsOwnAndOnlyFullViewsHaveTargets) {
  const Experiment plain = built("[[loss]]\nname = \"byol\"\n");
  const Experiment x = built(std::string(kCrops) + "[[augment]]\nname = \"normalize\"\nviews = [0, 1]\n");
  EXPECT_EQ(x.sizes.views, 4);
  EXPECT_EQ(x.sizes.full_views, 2);
  const Tensor index = torch::arange(5);
  const Views raw = x.dataset->read(Split::train, index);
  Views views;
  for (int64_t v = 0; v < 4; ++v) views.push_back(x.pipeline->training_view(raw, index, 3, v));
  EXPECT_EQ(views[1].data.sizes(), (std::vector<int64_t>{5, 3, 12, 12}));
  EXPECT_EQ(views[2].data.sizes(), (std::vector<int64_t>{5, 3, 8, 8}));
  EXPECT_FALSE(torch::equal(views[2].data, views[3].data));
  // The full views go through the pipeline that they would have alone, with the same draws, and then through
  // normalize.
  const Tensor before = plain.pipeline->training_view(raw, index, 3, 1).data;
  const Experiment normal = built("[[augment]]\nname = \"normalize\"\n");
  View as_before = raw[0];
  as_before.data = before;
  EXPECT_TRUE(torch::equal(views[1].data, normal.pipeline->evaluation_view({as_before}).data));
  EXPECT_GE(views[2].data.min().item<float>(), 0) << "small crops are not normalised";
  EXPECT_LT(views[1].data.min().item<float>(), 0);
  EXPECT_TRUE(
      torch::equal(x.pipeline->evaluation_view(raw).data, normal.pipeline->evaluation_view(raw).data));
  EXPECT_EQ(x.pipeline->modalities()[0].preparation, normal.pipeline->modalities()[0].preparation);

  const std::vector<Tensor> targets =
      target_embeddings(x.momentum.get(), views, x.sizes.full_views, /*bf16=*/false);
  ASSERT_EQ(targets.size(), 2u);
  EXPECT_FALSE(targets[0].requires_grad());
  EXPECT_TRUE(torch::equal(targets[1], x.model->forward({views[0], views[1]}).z[1]))
      << "at the start it is a copy";
}

TEST(Shards, OfThreeRanksAreUneven) {
  EXPECT_EQ(rank_block(64, 3, 0), (std::pair<int64_t, int64_t>(0, 22)));
  EXPECT_EQ(rank_block(64, 3, 1), (std::pair<int64_t, int64_t>(22, 43)));
  EXPECT_EQ(rank_block(64, 3, 2), (std::pair<int64_t, int64_t>(43, 64)));
}

}  // namespace
}  // namespace foil
