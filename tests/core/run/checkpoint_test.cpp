// SPDX-License-Identifier: BSD-3-Clause
// Checkpoints against kills, full disks and flipped bits.
#include "run/checkpoint.h"

#include "run/json.h"
#include "run_test.h"

#include <torch/types.h>

#include <chrono>
#include <random>
#include <regex>
#include <thread>

namespace foil {
namespace {

// A checkpoint of which every number says its step.
Checkpoint made(int64_t step, int64_t size = 5) {
  return {step,
          {{"encoder.weight", at::full({size, 3}, static_cast<double>(step), at::kFloat)},
           {"queue.pointer", at::scalar_tensor(step, at::kLong)}},
          {{"epoch", step / 3}, {"best", 1.0 / static_cast<double>(step + 1)}}};
}

void expect_made(const Checkpoint& got, int64_t step) {
  const Checkpoint wanted = made(step);
  EXPECT_EQ(got.step, step);
  EXPECT_EQ(got.state, wanted.state);
  ASSERT_EQ(got.tensors.size(), 2u);
  for (const auto& [name, tensor] : wanted.tensors)
    EXPECT_TRUE(at::equal(got.tensors.at(name), tensor)) << name;
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

void no_warning(const std::string& text) { ADD_FAILURE() << text; }

class CheckpointsTest : public ::testing::Test {
 protected:
  std::string folder() const { return scratch_ / "checkpoints"; }
  std::string stem(int64_t step) const { return folder() + "/step-0000000" + std::to_string(step); }
  void flip_byte(const std::string& path, size_t at) const {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    const int byte = file.seekg(static_cast<std::streamoff>(at)).get();
    file.seekp(static_cast<std::streamoff>(at)).put(static_cast<char>(byte ^ 1));
  }
  void expect_fallback(Checkpoints& checkpoints, const std::string& what) const {
    std::vector<std::string> warnings;
    const auto loaded = checkpoints.load_newest([&](const std::string& text) { warnings.push_back(text); });
    ASSERT_TRUE(loaded && loaded->step == 1 && warnings.size() == 1) << what;
    ASSERT_TRUE(warnings[0].starts_with("checkpoints/step-00000002") &&
                warnings[0].ends_with("; falling back to step-00000001"))
        << what << ": " << warnings[0];
  }
  TempFolder scratch_;
};

TEST_F(CheckpointsTest, ReadBackWhatWasSaved) {
  Checkpoints checkpoints(folder(), 3);
  EXPECT_FALSE(checkpoints.load_newest(no_warning).has_value());
  checkpoints.save(made(4));
  expect_made(Checkpoints(folder() + "/", 3).load_newest(no_warning).value(), 4);
  for (const char* extension : {"", ".json", ".safetensors"})
    expect_made(Checkpoints::load(stem(4) + extension), 4);
}

TEST_F(CheckpointsTest, CarryNonFiniteStateAsText) {
  Checkpoints(folder(), 1).save({3, {}, {{"best", -std::numeric_limits<double>::infinity()}}});
  EXPECT_EQ(json_number(Checkpoints::load(stem(3)).state["best"]), -std::numeric_limits<double>::infinity());
}

TEST_F(CheckpointsTest, KeepTheNewest) {
  Checkpoints checkpoints(folder(), 2);
  for (const int64_t step : {1, 3, 5, 9}) checkpoints.save(made(step));
  EXPECT_EQ(checkpoints.list(), (std::vector{stem(5), stem(9)}));
  EXPECT_EQ(names_in(folder()),
            (std::vector<std::string>{"step-00000005.json", "step-00000005.safetensors", "step-00000009.json",
                                      "step-00000009.safetensors"}));
}

TEST_F(CheckpointsTest, OrderStepsAsNumbersBeyondEightDigits) {
  Checkpoints checkpoints(folder(), 2);
  checkpoints.save(made(99'999'999));
  checkpoints.save(made(100'000'000));
  expect_made(checkpoints.load_newest(no_warning).value(), 100'000'000);
}

TEST_F(CheckpointsTest, EveryFlippedOrMissingByteFallsBackAndSaysSo) {
  Checkpoints checkpoints(folder(), 2);
  checkpoints.save(made(1));
  checkpoints.save(made(2));
  for (const char* extension : {".json", ".safetensors"}) {
    const std::string path = stem(2) + extension, whole = read_file(path);
    const size_t size =
        whole.size() - (path.ends_with("json") ? 1 : 0);  // the commit's newline carries nothing
    for (size_t at = 0; at < size; ++at) {
      flip_byte(path, at);
      expect_fallback(checkpoints, path + " with byte " + std::to_string(at) + " flipped");
      flip_byte(path, at);
    }
    for (size_t at = 0; at < size; at += 13) {
      write_plainly(path, whole.substr(0, at));
      expect_fallback(checkpoints, path + " cut to " + std::to_string(at) + " bytes");
    }
    write_plainly(path, whole);
  }
  expect_made(checkpoints.load_newest(no_warning).value(), 2);
}

TEST_F(CheckpointsTest, WarnInWords) {
  Checkpoints checkpoints(folder(), 3);
  for (const int64_t step : {1, 2, 3}) checkpoints.save(made(step));
  flip_byte(stem(3) + ".safetensors", 200);
  std::filesystem::remove(stem(2) + ".safetensors");
  write_plainly(stem(1) + ".safetensors", "short");
  std::vector<std::string> warnings;
  EXPECT_FALSE(
      checkpoints.load_newest([&](const std::string& text) { warnings.push_back(text); }).has_value());
  ASSERT_EQ(warnings.size(), 3u);
  EXPECT_EQ(warnings[0], "checkpoints/step-00000003: checksum differs; falling back to step-00000002");
  EXPECT_EQ(warnings[1],
            "checkpoints/step-00000002.safetensors: cannot read: No such file or directory; "
            "falling back to step-00000001");
  EXPECT_TRUE(std::regex_match(warnings[2], std::regex("checkpoints/step-00000001: "
                                                       "tensors are 5 bytes, \\d+ were written; "
                                                       "no older one to fall back to")));
}

TEST_F(CheckpointsTest, AForeignOrRenamedFileIsNoCheckpoint) {
  Checkpoints(folder(), 3).save(made(1));
  std::filesystem::copy(stem(1) + ".json", stem(2) + ".json");
  std::filesystem::copy(stem(1) + ".safetensors", stem(2) + ".safetensors");
  EXPECT_EQ(error_of([&] { Checkpoints::load(stem(2)); }), "5 " + stem(2) + ".json: holds step 1");
  write_plainly(stem(3) + ".json", "[1, 2]");
  EXPECT_TRUE(error_of([&] {
                Checkpoints::load(stem(3));
              }).starts_with("5 " + stem(3) + ".json: not a checkpoint: "));
}

TEST_F(CheckpointsTest, AfterAFallbackTheDamagedOneGoesAndDoesNotCount) {
  Checkpoints checkpoints(folder(), 2);
  for (const int64_t step : {2, 4}) checkpoints.save(made(step));
  flip_byte(stem(4) + ".safetensors", 200);
  Checkpoints resumed(folder(), 2);
  expect_made(resumed.load_newest([](const std::string&) {}).value(), 2);
  resumed.save(made(6));
  EXPECT_EQ(resumed.list(), (std::vector{stem(2), stem(6)}));
}

TEST_F(CheckpointsTest, ALaterStepThatWasAbandonedDoesNotPushOutTheNewOne) {
  Checkpoints(folder(), 1).save(made(8));
  flip_byte(stem(8) + ".json", 30);
  Checkpoints resumed(folder(), 1);
  EXPECT_FALSE(resumed.load_newest([](const std::string&) {}).has_value());
  resumed.save(made(3));
  EXPECT_EQ(resumed.list(), (std::vector{stem(3)}));
  resumed.save(made(8));  // the step again, now whole
  expect_made(resumed.load_newest(no_warning).value(), 8);
}

TEST_F(CheckpointsTest, LeftoversOfKilledWritesGoWithTheNextSaveNotWithAReader) {
  Checkpoints checkpoints(folder(), 3);
  checkpoints.save(made(1));
  write_plainly(stem(2) + ".safetensors", "an orphan");
  write_plainly(stem(2) + ".json.123.tmp", "half");
  write_plainly(folder() + "/notes.txt", "mine");
  expect_made(Checkpoints(folder(), 3).load_newest(no_warning).value(), 1);
  EXPECT_EQ(names_in(folder()).size(), 5u);
  checkpoints.save(made(3));
  EXPECT_EQ(names_in(folder()),
            (std::vector<std::string>{"notes.txt", "step-00000001.json", "step-00000001.safetensors",
                                      "step-00000003.json", "step-00000003.safetensors"}));
}

// A child saves in a loop and says through a pipe which step it has committed; it is killed at a random
// moment. The newest checkpoint must be that step or the one after, whole. Most kills fall into a write: the
// child does nothing else.
TEST_F(CheckpointsTest, SurviveAKillAtAnyMoment) {
  std::mt19937 random(5);
  int64_t committed = -1;
  int inside_a_save = 0;
  std::chrono::duration<double> save_time(0);
  for (int kill = 0; kill < 40; ++kill) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      Checkpoints checkpoints(folder(), 1 + kill % 3);
      for (int64_t step = committed + 1;; ++step) {
        checkpoints.save(made(step));
        if (::write(pipe[1], &step, sizeof step) < 0) ::_exit(1);
      }
    }
    ::close(pipe[1]);
    const auto began = std::chrono::steady_clock::now();
    int64_t step = 0;
    if (kill % 2 == 0 && ::read(pipe[0], &step, sizeof step) ==
                             sizeof step) {  // so that some commit, however slow the disk is
      committed = step;
      save_time = std::chrono::steady_clock::now() - began;
    }
    std::this_thread::sleep_for(save_time * (static_cast<double>(random() % 1000) / 1000));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
    while (::read(pipe[0], &step, sizeof step) == sizeof step) committed = step;
    ::close(pipe[0]);
    for (const std::string& name :
         std::filesystem::exists(folder()) ? names_in(folder()) : std::vector<std::string>()) {
      inside_a_save += is_temporary(name);
    }

    const auto newest = Checkpoints(folder(), 1).load_newest(no_warning);
    if (committed < 0 && !newest) continue;
    ASSERT_TRUE(newest.has_value()) << "kill " << kill;
    ASSERT_TRUE(newest->step == committed || newest->step == committed + 1)
        << newest->step << " after " << committed;
    expect_made(*newest, newest->step);
    committed = newest->step;
  }
  EXPECT_GT(committed, 0);
  EXPECT_GT(inside_a_save, 0);
}

TEST_F(CheckpointsTest, AFullDiskKeepsTheOldOneAndLeavesNoRubbish) {
  std::filesystem::create_directory(folder());
  EXPECT_EQ(
      exit_code_of_child([&] {
        make_small(folder(), 262'144);
        Checkpoints checkpoints(folder(), 2);
        checkpoints.save(made(1));
        const std::string error = error_of([&] { checkpoints.save(made(2, 40'000)); });
        const std::regex expected(
            "1 .*/checkpoints/step-00000002.safetensors: cannot write 480 kB \\(free: .*\\): "
            "(No space left on device|File too large)");
        if (!std::regex_match(error, expected)) throw std::runtime_error(error);
        if (names_in(folder()).size() != 2) throw std::runtime_error("rubbish is left");
        if (checkpoints.load_newest([](const std::string& text) { throw std::runtime_error(text); })->step !=
            1)
          return 1;
        checkpoints.save(made(3));
        return Checkpoints::load(stem(3)).step == 3 ? 0 : 1;
      }),
      0);
}

TEST_F(CheckpointsTest, SpaceIsToldAndRequired) {
  const int64_t size = bytes(made(1, 1000));
  Checkpoints(folder(), 1).save(made(1, 1000));
  const auto on_disk = static_cast<int64_t>(std::filesystem::file_size(stem(1) + ".safetensors") +
                                            std::filesystem::file_size(stem(1) + ".json"));
  EXPECT_NEAR(static_cast<double>(size), static_cast<double>(on_disk), 1000);
  EXPECT_TRUE(std::regex_match(require_space(folder(), size, 3),
                               std::regex("checkpoints: 3 x 12 kB, free [0-9.]+ [kMGTP]B")));
  EXPECT_TRUE(std::regex_match(require_space(folder() + "/not/there/yet", size, 3),
                               std::regex("checkpoints: 3 x 12 kB, free .*")));
  const std::regex refusal(
      "1 .*/checkpoints: checkpoints: 3 x 1.0 EB, free .*: too little: .* 4.0 EB are needed. "
      "Free some space, or keep fewer.");
  const std::string error = error_of([&] { require_space(folder(), 1'000'000'000'000'000'000, 3); });
  EXPECT_TRUE(std::regex_match(error, refusal)) << error;
}

TEST_F(CheckpointsTest, KeepMustBePositive) {
  EXPECT_EQ(error_of([&] { Checkpoints(folder(), 0); }),
            "1 " + folder() + ": keep = 0, allowed: an integer >= 1");
}

}  // namespace
}  // namespace foil
