// SPDX-License-Identifier: BSD-3-Clause
// foil ablate --parallel: several trials at a time, and the study that one at a time would have made.
#include "run/cores.h"
#include "sweeps.h"

#include <tuple>

namespace {

const std::vector<std::string> trials = {"infonce-seed0", "infonce-seed1", "dcl-seed0", "dcl-seed1"};

class Parallel : public ::testing::Test {
 protected:
  void SetUp() override { place_.write("e.toml", experiment(two_losses) + foil::kHold); }

  pid_t start(std::vector<std::string> more) const {
    more.insert(more.begin(), {"ablate", "e.toml", "--set", "evaluate.baselines=false"});
    return place_.start_foil(more, find_hold);
  }
  // Two trials at a time, one held in its step after 2 steps, the other after 5.
  pid_t start_and_hold_two(std::vector<std::string> more = {}) const {
    place_.hold_at("2");
    place_.hold_at("5");
    more.insert(more.begin(), {"--parallel", "2"});
    const pid_t pid = start(more);
    EXPECT_TRUE(Workplace::eventually([&] { return place_.is_held("2") && place_.is_held("5"); }))
        << slurp(place_.folder / "stderr.txt");
    return pid;
  }
  std::string state(const std::string& trial) const { return read_json(study_ / trial / "status")["state"]; }
  // The trial that is held after so many steps.
  std::string held_after(int64_t steps) const {
    for (const std::string& trial : trials)
      if (static_cast<int64_t>(lines(slurp(study_ / trial / "metrics.jsonl")).size()) == steps) return trial;
    ADD_FAILURE() << "no trial made " << steps << " steps";
    return trials[0];
  }

  const Workplace place_;
  const fs::path study_ = place_.folder / "runs/small";
};

TEST_F(Parallel, MakesTheTableAndTheRunsThatOneTrialAtATimeMakes) {
  const Outcome alone = place_.foil({"ablate", "e.toml", "--set", "run.output=alone"}, find_hold);
  ASSERT_EQ(alone.code, 0) << alone.err;
  const Outcome both = place_.foil({"ablate", "e.toml", "--parallel", "2"}, find_hold);
  ASSERT_EQ(both.code, 0) << both.err;
  const auto table = [](const std::string& out) {
    const std::string text = before_effort(out);
    return text.substr(text.find('\n'));  // behind the folder
  };
  EXPECT_EQ(table(both.out), table(alone.out));
  for (const std::string& trial : trials) {
    for (const std::string file : {"results.json", "metrics.jsonl"})
      EXPECT_EQ(slurp(study_ / trial / file), slurp(place_.folder / "alone/small" / trial / file)) << trial;
    EXPECT_GE(line_of(both.err, trial + ": runs/small/" + trial), 0) << both.err;
    EXPECT_GE(line_of(both.err, trial + ": train 100%"), 0) << both.err;
  }
  EXPECT_EQ(lines(both.out).back(), "runs/small/report.html");
}

TEST_F(Parallel, TrialsRunAtTheSameTimeAndOneThatEndsMakesRoomForTheNext) {
  const pid_t pid = start_and_hold_two();
  const std::string held = held_after(2);
  place_.let_go("5");  // this lane runs the other three
  for (const std::string& trial : trials) {
    if (trial == held) continue;
    EXPECT_TRUE(Workplace::eventually([&] { return fs::exists(study_ / trial / "results.json"); })) << trial;
  }
  EXPECT_FALSE(fs::exists(study_ / held / "results.json"));
  place_.let_go("2");
  EXPECT_EQ(place_.wait(pid).code, 0);
}

TEST_F(Parallel, TrialsDivideTheCores) {
  const Outcome outcome = place_.foil(
      {"ablate", "e.toml", "--parallel", "2", "--set", "run.threads=0", "--set", "run.steps=1"}, find_hold);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const int share = std::max(1, foil::usable_cores() / 2);
  for (const std::string& trial : trials) {
    EXPECT_EQ(read_json(study_ / trial / "env.json")["usable_cores"], share);
    EXPECT_EQ(read_json(study_ / trial / "env.json")["threads"], share);
  }
}

TEST_F(Parallel, EachTrialHasItsRanks) {
  const Outcome outcome = place_.foil({"ablate", "e.toml", "--parallel", "2", "--nproc", "2", "--set",
                                       "evaluate.baselines=false", "--set", "sweep.seeds=1"},
                                      find_hold);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const std::string trial : {"infonce-seed0", "dcl-seed0"}) {
    EXPECT_GE(line_of(outcome.err, trial + ": 2 ranks, launched by --nproc"), 0) << outcome.err;
    EXPECT_TRUE(fs::exists(study_ / trial / "results.json"));
  }
}

TEST_F(Parallel, SignalsStopAllTrialsAfterTheirCheckpointsAndTheStudyGoesOn) {
  for (const auto& [signal, code, state_after] :
       {std::tuple(SIGINT, 130, "interrupted"), std::tuple(SIGTERM, 75, "again"),
        std::tuple(SIGUSR1, 75, "again")}) {
    fs::remove_all(study_);
    const pid_t pid = start_and_hold_two({"--set", "run.steps=2000"});
    const std::vector<std::string> held = {held_after(2), held_after(5)};
    ::kill(pid, signal);
    place_.let_go("2");
    place_.let_go("5");
    const Outcome outcome = place_.wait(pid);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_EQ(outcome.out, "runs/small\n");
    EXPECT_EQ(lines(outcome.err).back(), "stopped; the same command goes on with the study");
    for (const std::string& trial : held) {
      EXPECT_EQ(state(trial), state_after);
      EXPECT_GE(line_of(outcome.err, trial + ": stopped after step "), 0) << outcome.err;
    }
    int64_t begun = 0;
    for (const std::string& trial : trials) begun += fs::exists(study_ / trial);
    EXPECT_EQ(begun, 2);
    EXPECT_EQ(processes_in(place_.folder), std::set<pid_t>());
  }
  const Outcome rest = place_.wait(start({"--parallel", "2"}));
  EXPECT_EQ(rest.code, 0) << rest.err;
  EXPECT_EQ(count(rest.err, ", continued\n"), 2) << rest.err;
}

TEST_F(Parallel, ATrialThatAsksToBeRunAgainStopsTheOthers) {
  const pid_t pid = start_and_hold_two({"--set", "run.steps=2000"});
  const std::string one = held_after(2), other = held_after(5);
  const auto process = read_json(study_ / one / "lock")["pid"].get<pid_t>();
  ::kill(process, SIGTERM);
  place_.let_go("2");
  ASSERT_TRUE(Workplace::eventually([&] { return !fs::exists("/proc/" + std::to_string(process)); }));
  place_.let_go("5");
  EXPECT_EQ(place_.wait(pid).code, 75);
  EXPECT_EQ(state(other), "again");
}

TEST_F(Parallel, AFailedTrialStopsNoOtherAndEachSaysItsOwnReason) {
  place_.write("e.toml", experiment("grid = { \"optimizer.learning_rate\" = [1e30, 0.05] }\n"));
  const Outcome outcome = place_.wait(start({"--parallel", "2"}));
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  for (const std::string seed : {"0", "1"}) {
    EXPECT_EQ(count(outcome.out, "failed: learning_rate=1e+30 seed " + seed + ": step "), 1) << outcome.out;
    EXPECT_TRUE(fs::exists(study_ / ("learning_rate=0.05-seed" + seed) / "results.json"));
    EXPECT_GE(line_of(outcome.err, "learning_rate=1e+30-seed" + seed + ": step "), 0) << outcome.err;
  }
  EXPECT_EQ(count(outcome.out, ": non-finite "), 2) << outcome.out;
}

TEST_F(Parallel, NoTrialOutlivesTheCommandAndTheNextOneGoesOn) {
  const pid_t pid = start_and_hold_two();
  ::kill(pid, SIGKILL);
  EXPECT_EQ(place_.wait(pid).code, 128 + SIGKILL);
  EXPECT_TRUE(Workplace::eventually([&] { return processes_in(place_.folder).empty(); }));
  const Outcome outcome = place_.wait(start({"--parallel", "4", "--quiet"}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  for (const std::string& trial : trials) EXPECT_EQ(state(trial), "finished");
}

}  // namespace
