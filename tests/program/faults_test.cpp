// SPDX-License-Identifier: BSD-3-Clause
// One rank in trouble: the run never hangs, says one thing once, and ends with the code of what happened.
#include "data/loader.h"
#include "data/uniform.h"
#include "tests/support/watched_run.h"

#include <regex>

namespace foil {
namespace {

const std::vector<std::string> kFindPlugins = {"FOIL_PLUGIN_PATH=" FOIL_TEST_PLUGINS};

std::string faulty_experiment(const std::string& fault, const std::string& run = "") {
  std::string text = small_experiment(run, "faulty");
  const std::string temperature = "temperature = 0.2\n";  // not an option of this loss
  text.replace(text.find(temperature), temperature.size(), fault);
  return text;
}

struct Ended {
  std::unique_ptr<Workplace> place = std::make_unique<Workplace>();
  Outcome outcome;
  RunView run{*place};
};

// Trains with this fault on `ranks` ranks, saving after every step.
Ended train_with(const std::string& fault, int ranks = 3, const std::string& run = "",
                 const std::vector<std::string>& more = {}) {
  Ended ended;
  ended.place->write("small.toml", faulty_experiment(fault, run));
  std::vector<std::string> command = {
      "train", "small.toml", "--quiet", "--nproc", std::to_string(ranks), "--set", "checkpoint.every=1"};
  command.insert(command.end(), more.begin(), more.end());
  ended.outcome = foil_within(*ended.place, command, kFindPlugins);
  return ended;
}

std::string on_rank(int rank, const std::string& fault) {
  return "fault = \"" + fault + "\"\nrank = " + std::to_string(rank) + "\n";
}

// The whole of stderr is one line that matches.
void expect_one_line(const Outcome& outcome, const std::string& pattern) {
  EXPECT_TRUE(std::regex_match(outcome.err, std::regex(pattern + "\n")))
      << outcome.err << "\nwanted: " << pattern;
}

TEST(Fault, RanksWithoutAnyValidAnchorAndAParameterThatOnlyOthersUseTrainAsOneRankDoes) {
  const std::vector<std::string> in_double = {"--set", "run.precision=fp64",
                                              "--set", "optimizer.weight_decay=0.1",
                                              "--set", "optimizer.decay_norms_and_biases=true"};
  const Ended one = train_with("valid_below = 22\n", 1, "", in_double),
              many = train_with("valid_below = 22\n", 3, "", in_double);
  ASSERT_EQ(one.outcome.code, 0) << one.outcome.err;
  ASSERT_EQ(many.outcome.code, 0) << many.outcome.err;
  expect_same_losses(many.run.losses(), one.run.losses(), 1e-9);
  expect_same_state(many.run.state(), one.run.state(), 1e-9);  // holds loss.0.spare, which no rank ever uses
  EXPECT_TRUE(many.run.state().count("loss.0.spare"));
  EXPECT_FALSE(torch::equal(many.run.state().at("loss.0.scale"), torch::ones({8}, torch::kDouble)))
      << "a parameter used on one rank learns";
}

TEST(Fault, ANanOnRank2StopsAllBeforeTheUpdateAndSavesItsBatch) {
  const Ended ended = train_with(on_rank(2, "nan"));
  EXPECT_EQ(ended.outcome.code, 4);
  expect_one_line(
      ended.outcome,
      "rank 2: step 5: non-finite loss 0 on rank 2; its batch is in .*/non_finite-step5-rank2.safetensors");
  EXPECT_EQ(ended.run.status()["state"], "failed");
  EXPECT_EQ(ended.run.rows(), 5) << "steps 0 to 4";
  ASSERT_EQ(ended.run.checkpoints().back().filename(), "step-00000005.json") << "no update after the nan";
  const TensorFile batch = load_tensors((ended.run.folder / "non_finite-step5-rank2.safetensors").string());
  Uniform sampler({});
  sampler.setup(0, 64, 257, {});
  const auto [begin, end] = rank_block(64, 3, 2);
  EXPECT_TRUE(torch::equal(batch.tensors.at("index"), sampler.batch(5).slice(0, begin, end)));
  EXPECT_EQ(batch.tensors.at("view.0").sizes(), (at::IntArrayRef{21, 3, 12, 12}));
  EXPECT_EQ(batch.tensors.at("view.1").sizes(), (at::IntArrayRef{21, 3, 12, 12}));
  EXPECT_EQ(batch.tensors.at("key.1").sizes(), (at::IntArrayRef{21}))
      << "what the encoder's draws are made of";
  EXPECT_EQ(files_ending(ended.run.folder, ".safetensors").size(), 1u)
      << "the other ranks' batches are not to blame";
}

TEST(Fault, ANanOfOneRankAloneIsNamedInTheSameWords) {
  const Ended ended = train_with(on_rank(0, "nan"), 1);
  EXPECT_EQ(ended.outcome.code, 4);
  expect_one_line(
      ended.outcome,
      "step 5: non-finite loss 0 on rank 0; its batch is in .*/non_finite-step5-rank0.safetensors");
}

TEST(Fault, WeightsThatOverflowAreFoundWhereTheyFirstShow) {
  const Ended ended =
      train_with("", 2, "", {"--set", "optimizer.learning_rate=1e38", "--set", "schedule.name=constant"});
  EXPECT_EQ(ended.outcome.code, 4);
  expect_one_line(ended.outcome,
                  "rank 0: step 1: non-finite features h\\[0\\] on rank 0; its batch is in .*");
}

TEST(Fault, ANanGradientUnderAFiniteLossNamesTheParameterAndSavesTheBatch) {
  const Ended ended = train_with(on_rank(2, "nan_gradient"));
  EXPECT_EQ(ended.outcome.code, 4);
  expect_one_line(ended.outcome,
                  "(rank 0: )?step 5: non-finite gradient of tower\\.\\S+ on rank 0; "
                  "its batch is in .*/non_finite-step5-rank0.safetensors");
  ASSERT_EQ(ended.run.checkpoints().back().filename(), "step-00000005.json") << "no update after the nan";
  EXPECT_EQ(files_ending(ended.run.folder, ".safetensors").size(), 3u)
      << "gradients are averaged: any rank's batch may be to blame";
}

TEST(Fault, OneRankThrowingInBackwardEndsAllWithItsMessage) {
  const Ended ended = train_with(on_rank(1, "throws"));
  EXPECT_EQ(ended.outcome.code, 1);
  expect_one_line(ended.outcome, "rank 1: no gradient today");
  EXPECT_EQ(ended.run.status()["state"], "failed");
  EXPECT_EQ(ended.run.status()["reason"], "rank 1: no gradient today");
}

TEST(Fault, Rank0ThrowingInBackwardEndsAllWithItsMessage) {
  const Ended ended = train_with(on_rank(0, "throws"));
  EXPECT_EQ(ended.outcome.code, 1);
  expect_one_line(ended.outcome, "rank 0: no gradient today");
}

TEST(Fault, ARankThatIsKilledIsNamed) {
  const Ended ended = train_with(on_rank(2, "killed"));
  EXPECT_EQ(ended.outcome.code, 128 + SIGKILL);
  expect_one_line(ended.outcome, "(foil: )?rank 2: killed by signal 9 \\(Killed\\)\\.");
  EXPECT_EQ(ended.run.checkpoints().back().filename(), "step-00000005.json");
}

TEST(Fault, Rank0KilledIsNamedToo) {
  const Ended ended = train_with(on_rank(0, "killed"));
  EXPECT_EQ(ended.outcome.code, 128 + SIGKILL);
  expect_one_line(ended.outcome, "(foil: )?rank 0: killed by signal 9 \\(Killed\\)\\.");
}

TEST(Fault, ALateRankIsNamedAfterTheTimeout) {
  const Ended ended = train_with(on_rank(2, "late") + "seconds = 600\n", 3, "timeout = 15\n");
  EXPECT_EQ(ended.outcome.code, 1);
  expect_one_line(ended.outcome, ".*rank 2 did not come within 15 s, the other ranks wait\\.");
}

TEST(Fault, TheRunGoesOnFromItsCheckpointOnceTheFaultIsGone) {
  const Ended ended = train_with(on_rank(1, "killed"));
  ASSERT_EQ(ended.outcome.code, 128 + SIGKILL);
  // Another process, another loss option: refused. The same experiment with the rank gone: one rank alone
  // never meets the fault.
  const Outcome other = foil_within(
      *ended.place, {"train", "small.toml", "--set", "checkpoint.every=1", "--set", "loss.fault=none"},
      kFindPlugins);
  EXPECT_EQ(other.code, 2);
  EXPECT_NE(other.err.find("loss.fault"), std::string::npos) << other.err;
  const Outcome again =
      foil_within(*ended.place, {"train", "small.toml", "--set", "checkpoint.every=1"}, kFindPlugins);
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_NE(again.err.find("resumed with another setting of world size: 3 -> 1"), std::string::npos)
      << again.err;
  EXPECT_EQ(ended.run.rows(), 20);
}

}  // namespace
}  // namespace foil
