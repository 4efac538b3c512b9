// SPDX-License-Identifier: BSD-3-Clause
// What the tests of the program's behaviour around a run share: runs that can be held at a step.
#pragma once

#include "tests/support/run_foil.h"

#include <nlohmann/json.hpp>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using foil::Outcome;
using foil::slurp;
using foil::small_experiment;
using foil::Workplace;

inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

inline std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> all;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) all.push_back(line);
  return all;
}

inline int64_t rows(const fs::path& run) {
  return static_cast<int64_t>(lines(slurp(run / "metrics.jsonl")).size());
}
inline nlohmann::json read_json(const fs::path& path) { return nlohmann::json::parse(slurp(path)); }

// The processes that work in a folder, but for this one.
inline std::set<pid_t> processes_in(const fs::path& folder) {
  std::set<pid_t> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    std::error_code gone;
    if (name.find_first_not_of("0123456789") == std::string::npos &&
        fs::read_symlink(entry.path() / "cwd", gone) == folder)
      found.insert(std::stoi(name));
  }
  return found;
}

class Manners : public ::testing::Test {
 protected:
  // 20 steps; long.toml: 300 steps, no checkpoint that is not asked for, and it can be held at a step.
  void SetUp() override {
    ::setenv("FOIL_PLUGIN_PATH", FOIL_TEST_PLUGINS, 1);
    place_.write("e.toml", small_experiment());
    place_.write("long.toml", replaced(small_experiment(), "steps = 20", "steps = 300") +
                                  "[checkpoint]\nevery = 1000\n" + foil::kHold);
  }

  // Starts a run of long.toml and returns while it is held in the step after `steps` steps.
  pid_t start_long(int64_t steps, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"train", "long.toml"});
    return start_held(more, std::to_string(steps));
  }
  pid_t start_held(const std::vector<std::string>& command, const std::string& place) {
    held_ = place;
    place_.hold_at(held_);
    const pid_t pid = place_.start_foil(command);
    EXPECT_TRUE(Workplace::eventually([&] { return place_.is_held(held_); }))
        << slurp(place_.folder / "stderr.txt");
    return pid;
  }
  // Sends a signal to a run that is held, and lets it go.
  Outcome signalled(pid_t pid, int signal) {
    ::kill(pid, signal);
    place_.let_go(held_);
    return place_.wait(pid);
  }
  // Runs long.toml in another folder without interruption and expects that `run_` has come to the same end.
  void expect_as_uninterrupted(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"train", "long.toml", "--quiet", "--set", "run.output=other"});
    ASSERT_EQ(place_.foil(more).code, 0);
    const fs::path other = place_.folder / "other/small/seed0";
    EXPECT_EQ(rows(other), 300);
    EXPECT_EQ(slurp(run_ / "metrics.jsonl"), slurp(other / "metrics.jsonl"));
    const std::string last = "checkpoints/step-00000300.safetensors";
    EXPECT_GT(slurp(other / last).size(), 1000u);
    EXPECT_TRUE(slurp(run_ / last) == slurp(other / last)) << "the weights differ";
    EXPECT_EQ(read_json(run_ / "results.json"), read_json(other / "results.json"));
  }
  std::string state() const { return read_json(run_ / "status").value("state", ""); }

  Workplace place_;
  std::string held_;
  const fs::path run_ = place_.folder / "runs/small/seed0";
};

}  // namespace
