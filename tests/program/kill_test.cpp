// SPDX-License-Identifier: BSD-3-Clause
// A run that is killed, damaged or out of disk, and started again by the same command, ends with the bits of
// the uninterrupted one.
#include "tests/core/run/run_test.h"
#include "tests/support/watched_run.h"

namespace foil {
namespace {

constexpr int64_t kSteps = 36, kEvery = 3;  // an epoch has four steps: most checkpoints are inside one

struct Recipe {
  std::string name;
  std::vector<std::string> sets;
  std::string tables = {};
};

// A head of 8 MB; both optimizers keep state. The first also evaluates while it trains.
Recipe infonce_with_adamw() {
  return {"infonce",
          {"--set", "optimizer.name=adamw", "--set", "optimizer.learning_rate=0.001", "--set",
           "evaluate.every_epochs=1", "--set", "collapse.every=5"}};
}
Recipe dcl_with_momentum() { return {"dcl", {}}; }
Recipe queues_and_targets() {
  return {"nnclr",
          {"--set", "loss.0.queue_length=100"},
          "[[loss]]\nname = \"byol\"\n[[loss]]\nname = \"moco\"\nqueue_length = 150\n[[loss]]\n"
          "name = \"swav\"\nprototypes = 9\nqueue_length = 90\nqueue_start_epoch = 1\n[momentum]\n"
          "value = 0.9\n[predictor]\nhidden = [12]\n"};
}

// An encoder that draws, with keys that must be the same after a resume.
Recipe dropping() { return {"infonce", {"--set", "encoder.name=dropping"}}; }

// Two modalities with a tower each, of which one draws, and a loss with a learned temperature.
Recipe two_modalities() {
  return {"clip",
          {"--set", "data.modalities=[\"image\", \"vector\"]", "--set", "data.features=6"},
          "[views]\nof = [\"image\", \"vector\"]\n[encoder.image]\nname = \"dropping\"\n[encoder.vector]\n"
          "name = \"mlp\"\nwidths = [16]\n"};
}

class KillableRun : public Workplace, public RunView {
 public:
  explicit KillableRun(const Recipe& recipe, int64_t width = 1024, int64_t steps = kSteps,
                       const std::string& precision = "fp32")
      : RunView(static_cast<const Workplace&>(*this)) {
    write("small.toml", small_experiment("", recipe.name) + recipe.tables + kHold);
    command_ = {"train", "small.toml",
                "--set", "run.steps=" + std::to_string(steps),
                "--set", "checkpoint.every=" + std::to_string(kEvery),
                "--set", "head.dims=[" + std::to_string(width) + "," + std::to_string(width) + ",8]",
                "--set", "run.precision=" + precision};
    command_.insert(command_.end(), recipe.sets.begin(), recipe.sets.end());
  }
  pid_t start(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> command = command_;
    command.insert(command.end(), more.begin(), more.end());
    return start_foil(command, {"FOIL_PLUGIN_PATH=" FOIL_TEST_PLUGINS, "LD_PRELOAD=" FOIL_TEST_KILLER});
  }
  Outcome finish(const std::vector<std::string>& more = {}) const { return wait_within(*this, start(more)); }

  // Starts it and kills it in the step after so many rows. False when it never came there. It must go on from
  // its newest checkpoint: rows of steps that are saved never go away.
  bool killed_after_rows(int64_t wanted) const {
    const std::string step = std::to_string(wanted);
    const int64_t saved = newest_step();
    hold_at(step);
    const pid_t pid = start();
    siginfo_t info{};
    int64_t least = saved;
    while (!is_held(step)) {
      least = std::min(least, rows());
      if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
          info.si_pid == pid)
        break;
      std::this_thread::yield();
    }
    EXPECT_EQ(rows(), wanted);
    ::kill(pid, SIGKILL);
    EXPECT_EQ(least, saved) << "it began anew";
    return wait(pid).code == 128 + SIGKILL;
  }
  // Starts it and lets it be killed inside its next checkpoint, which is left half written.
  bool killed_inside_a_save() const {
    const std::vector<std::filesystem::path> before = half_written();
    hold_at("save");
    return finish().code == 128 + SIGKILL && !half_written().empty() && half_written() != before;
  }
  int64_t newest_step() const {
    return checkpoints().empty() ? 0 : std::stoll(checkpoints().back().stem().string().substr(5));
  }
  std::vector<std::filesystem::path> half_written() const {
    return files_ending(RunView::folder / "checkpoints", ".tmp");
  }

 private:
  std::vector<std::string> command_;
};

// The last checkpoint, the rows and the results, byte for byte.
void expect_same_end(const KillableRun& got, const KillableRun& wanted) {
  EXPECT_EQ(got.metrics(), wanted.metrics());
  ASSERT_EQ(got.checkpoints().size(), wanted.checkpoints().size());
  EXPECT_EQ(got.newest_tensors().filename(), wanted.newest_tensors().filename());
  EXPECT_TRUE(slurp(got.newest_tensors()) == slurp(wanted.newest_tensors()))
      << "weights, optimizer and generators differ";
  EXPECT_EQ(got.results()["metrics"], wanted.results()["metrics"]);
}

void expect_eight_kills_to_change_nothing(const Recipe& recipe) {
  const KillableRun whole(recipe), broken(recipe);
  const Outcome outcome = whole.finish();
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  ASSERT_EQ(whole.rows(), kSteps);

  ASSERT_TRUE(broken.killed_after_rows(1));  // before the first checkpoint: from the start again
  ASSERT_TRUE(broken.killed_after_rows(5));
  ASSERT_TRUE(broken.killed_inside_a_save());
  ASSERT_TRUE(broken.killed_after_rows(14));
  ASSERT_TRUE(broken.killed_after_rows(20));
  ASSERT_TRUE(broken.killed_inside_a_save());
  ASSERT_TRUE(broken.killed_after_rows(27));
  ASSERT_TRUE(broken.killed_after_rows(34));
  const Outcome last = broken.finish();
  ASSERT_EQ(last.code, 0) << last.err;
  expect_same_end(broken, whole);
  EXPECT_TRUE(broken.half_written().empty()) << "what killed writes left is removed";
}

TEST(Kill, EightTimesTwoOfThemInsideACheckpointChangesNoBitOfInfonceWithAdamW) {
  expect_eight_kills_to_change_nothing(infonce_with_adamw());
}
TEST(Kill, EightTimesTwoOfThemInsideACheckpointChangesNoBitOfDclWithMomentum) {
  expect_eight_kills_to_change_nothing(dcl_with_momentum());
}

// Returns the names of the whole state.
std::vector<std::string> expect_two_kills_to_change_nothing(const Recipe& recipe) {
  const KillableRun whole(recipe, 16, 15), broken(recipe, 16, 15);
  EXPECT_EQ(whole.finish().code, 0);
  EXPECT_TRUE(broken.killed_after_rows(kEvery + 1));
  EXPECT_TRUE(broken.killed_after_rows(3 * kEvery + 2));
  const Outcome last = broken.finish();
  EXPECT_EQ(last.code, 0) << last.err;
  if (last.code == 0) expect_same_end(broken, whole);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : whole.state()) names.push_back(name);
  return names;
}

TEST(Kill, ChangesNoBitOfQueuesMomentumTowerPredictorAndPrototypes) {
  const std::vector<std::string> names = expect_two_kills_to_change_nothing(queues_and_targets());
  for (const char* name : {"queue.2.0.entered", "momentum.head.0.weight"})
    EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name;
}

TEST(Kill, ChangesNoBitOfAnEncoderWithDropoutAndStochasticDepth) {
  expect_two_kills_to_change_nothing(dropping());
}

TEST(Kill, ChangesNoBitOfTwoModalitiesWithATowerEach) {
  const std::vector<std::string> names = expect_two_kills_to_change_nothing(two_modalities());
  for (const char* name : {"tower.vector.encoder.layers.0.weight", "loss.0.logit_scale"})
    EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name;
}

void flip_a_byte(const std::filesystem::path& path) {
  std::string bytes = slurp(path);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_plainly(path, bytes);
}
void truncate_it(const std::filesystem::path& path) {
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 7);
}

TEST(Damage, InTheNewestCheckpointFallsBackSaysSoAndEndsWithTheSameBits) {
  const KillableRun whole(dcl_with_momentum(), 16, 15);
  ASSERT_EQ(whole.finish().code, 0);
  for (const char* extension : {".safetensors", ".json"}) {
    for (const auto damage : {flip_a_byte, truncate_it}) {
      const KillableRun broken(dcl_with_momentum(), 16, 15);
      ASSERT_TRUE(broken.killed_after_rows(3 * kEvery + 1));
      const auto saved = broken.checkpoints();
      ASSERT_EQ(saved.size(), 2u);
      auto newest = saved[1];
      damage(newest.replace_extension(extension));
      const Outcome outcome = broken.finish();
      ASSERT_EQ(outcome.code, 0) << outcome.err;
      const std::string fallback = "; falling back to " + saved[0].stem().string() + "\n";
      EXPECT_NE(outcome.err.find("checkpoints/" + saved[1].stem().string()), std::string::npos)
          << outcome.err;
      EXPECT_NE(outcome.err.find(fallback), std::string::npos) << outcome.err;
      expect_same_end(broken, whole);
    }
  }
}

// In a child, because the file system is mounted for it alone.
int fill_the_disk() {
  const KillableRun whole(dcl_with_momentum(), 256, 60);
  if (whole.finish().code != 0) return 10;
  const KillableRun run(dcl_with_momentum(), 256, 60);
  const std::filesystem::path disk = run.Workplace::folder / "runs";
  std::filesystem::create_directory(disk);
  make_small(disk.string(), 24 << 20);
  run.hold_at("4");  // the first checkpoint is written then
  const pid_t pid = run.start();
  if (!Workplace::eventually([&] { return run.is_held("4"); }) || run.checkpoints().empty()) return 11;
  // Everything that is left, then a little less: what is short is room for a checkpoint, not for a row.
  const std::string filler = disk / "filler";
  std::string block(1 << 16, 'x');
  std::ofstream file(filler, std::ios::binary);
  while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) continue;
  file.close();
  std::filesystem::resize_file(filler, std::filesystem::file_size(filler) - (48 << 10));
  run.let_go("4");
  const Outcome outcome = wait_within(run, pid);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("checkpoints/step-"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find(": No space left on device\n"), std::string::npos) << outcome.err;
  EXPECT_EQ(run.status()["state"], "failed");
  EXPECT_TRUE(run.half_written().empty());
  const auto saved = run.checkpoints();
  if (saved.empty()) return 12;
  EXPECT_NO_THROW(load_tensors(run.newest_tensors().string())) << "the old checkpoint is intact";

  const Outcome full = run.finish();  // still full: fails the same way, and costs nothing
  EXPECT_EQ(full.code, 1) << full.err;
  EXPECT_EQ(run.checkpoints(), saved);
  std::filesystem::remove(filler);
  const Outcome again = run.finish();
  EXPECT_EQ(again.code, 0) << again.err;
  expect_same_end(run, whole);
  return ::testing::Test::HasFailure() ? 1 : 0;
}

TEST(FullDisk, IsAClearErrorThatCostsNoCheckpointAndTheRunGoesOnOnceThereIsRoom) {
  EXPECT_EQ(exit_code_of_child(fill_the_disk), 0);
}

TEST(OtherWorldSize, ContinuesFromTheMiddleOfAnEpochAndSaysWhatIsLost) {
  const KillableRun whole(dcl_with_momentum(), 16, 20, "fp64"), other(dcl_with_momentum(), 16, 20, "fp64");
  ASSERT_EQ(whole.finish().code, 0);
  ASSERT_TRUE(other.killed_after_rows(2 * kEvery + 1));
  const Outcome outcome = other.finish({"--nproc", "2"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("resumed with another setting of world size: 1 -> 2; "
                             "results stay right, but bits may differ from an uninterrupted run"),
            std::string::npos)
      << outcome.err;
  expect_same_losses(other.losses(), whole.losses(), 1e-9);
  expect_same_state(other.state(), whole.state(), 1e-9);
}

}  // namespace
}  // namespace foil
