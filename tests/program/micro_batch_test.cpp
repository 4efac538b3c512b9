// SPDX-License-Identifier: BSD-3-Clause
// train.micro_batch: the encoder sees some samples at a time, and nothing else changes.
#include "tests/program/world_size.h"

namespace foil {
namespace {

// Nothing takes statistics from the batch; patches and blocks are left out by keyed draws; a loss with a
// parameter of its own, targets, predictions and queues.
std::string without_batch_norm() {
  std::string text = small_experiment("", "clip");
  const std::string encoder = "name = \"small_cnn\"\nwidths = [8, 16]\n\n[head]\n";
  text.replace(text.find(encoder), encoder.size(),
               "name = \"vit\"\npatch_size = 4\nwidth = 16\ndepth = 2\nheads = 2\nkeep_patches = 0.6\n"
               "drop_path = 0.3\n\n[head]\nbatch_norm = false\n");
  return text +
         "[[loss]]\nname = \"byol\"\n[[loss]]\nname = \"moco\"\nqueue_length = 150\n[momentum]\nvalue = 0.9\n"
         "[predictor]\nhidden = [12]\nbatch_norm = false\n";
}

std::vector<std::string> micro_batch(const std::string& samples, std::vector<std::string> more = {}) {
  more.insert(more.end(), {"--set", "train.micro_batch=" + samples});
  return more;
}

TEST(MicroBatch, ChangesNoLossAndNoWeightOnAnyNumberOfRanks) {
  const auto whole = trained(without_batch_norm(), "fp64", "1", {});
  ASSERT_EQ(RunView(*whole).losses().size(), 20u);
  for (const auto& [ranks, samples] : {std::pair("1", "10"), {"1", "64"}, {"2", "10"}, {"3", "7"}}) {
    SCOPED_TRACE(std::string(ranks) + " ranks, " + samples + " samples at a time");
    const auto place = trained(without_batch_norm(), "fp64", ranks, micro_batch(samples));
    expect_same_losses(RunView(*place).losses(), RunView(*whole).losses(), 1e-9);
    expect_same_state(RunView(*place).state(), RunView(*whole).state(), 1e-9);
  }
}

TEST(MicroBatch, LetsGhostBatchNormMoveItsStatisticsOnceAPieceAndOnTheWayBackOnly) {
  const auto tracked = [](const char* ranks) {
    const auto place = trained(small_experiment(), "fp32", ranks,
                               micro_batch("10", {"--set", "train.ghost_batch_norm=true"}));
    return RunView(*place).state().at("tower.encoder.bn1.num_batches_tracked").item<int64_t>();
  };
  EXPECT_EQ(tracked("1"), 20 * 7);  // 64 samples
  EXPECT_EQ(tracked("2"), 20 * 4);  // 32 samples each
}

// What depends on the number of steps is constant, so that a run of fewer is the beginning of the whole.
TEST(MicroBatch, GoesOnWithTheSameBits) {
  const std::vector<std::string> sets =
      micro_batch("10", {"--set", "schedule.name=constant", "--set", "momentum.schedule=constant"});
  const auto whole = trained(without_batch_norm(), "fp32", "1", sets);
  std::vector<std::string> some = sets;
  some.insert(some.end(), {"--set", "run.steps=7"});
  const auto place = trained(without_batch_norm(), "fp32", "1", some);
  std::vector<std::string> rest{"train", "small.toml", "--quiet", "--set", "run.precision=fp32"};
  rest.insert(rest.end(), sets.begin(), sets.end());
  const Outcome outcome = foil_within(*place, rest);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  expect_same_state(RunView(*place).state(), RunView(*whole).state(), 0);
}

}  // namespace
}  // namespace foil
