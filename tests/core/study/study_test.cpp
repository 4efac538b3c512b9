// SPDX-License-Identifier: BSD-3-Clause
// The runner, with functions that stand for runs.
#include "study/study.h"

#include "folder.h"

#include <foil/error.h>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

using foil::PlannedTrial;
using foil::TrialRecord;
using foil::TrialState;
using foil::TrialStore;
using foil_test::Folder;

namespace {

const std::vector<PlannedTrial> four = {{"infonce-seed0", "infonce", 0, "a0", 938},
                                        {"infonce-seed1", "infonce", 1, "a1", 938},
                                        {"dcl-seed0", "dcl", 0, "b0", 938},
                                        {"dcl-seed1", "dcl", 1, "b1", 938}};
const std::string good = R"({"protocol": "p", "metrics": {"knn": 86.5}, "step": 938, "loss": 4.25})";

// Runs each trial where it is started, by a function.
class InPlace final : public foil::TrialRunner {
 public:
  using Run = std::function<int(const PlannedTrial& trial, const std::string& folder)>;
  explicit InPlace(Run run) : run_(std::move(run)) {}
  bool free() const override { return !end_; }
  void start(const PlannedTrial& trial, const std::string& folder) override {
    end_ = foil::TrialEnd{trial.name, run_(trial, folder)};
  }
  std::optional<foil::TrialEnd> wait() override { return std::exchange(end_, std::nullopt); }
  int asked() const override { return 0; }
  void ask(int) override {}
  void end(const std::string&) override {}

 private:
  Run run_;
  std::optional<foil::TrialEnd> end_;
};

int run_study(const std::vector<PlannedTrial>& trials, const InPlace::Run& run, TrialStore& store,
              std::ostream& log) {
  InPlace runner(run);
  foil::StoreBooks books(trials, store);
  return foil::run_study(trials, runner, books, log);
}

// Runs that note their order and end as the test says; those not named in `codes` succeed.
struct FakeRuns {
  Folder folder;
  std::map<std::string, int> codes;
  std::vector<std::string> ran;
  std::ostringstream log;

  int operator()(const PlannedTrial& trial, const std::string& where) {
    ran.push_back(trial.name);
    EXPECT_EQ(where, folder.at(trial.name));
    const int code = codes.count(trial.name) ? codes.at(trial.name) : 0;
    if (code == 4) foil::fail(foil::Exit::non_finite, "loss is nan at step 3");
    if (code == 0) folder.write(trial.name + "/results.json", good);
    return code;
  }
  int study() {
    TrialStore store(folder.path());
    return run_study(four, std::ref(*this), store, log);
  }
  std::vector<TrialRecord> trials() const {
    return TrialStore(folder.path(), TrialStore::Access::read).trials();
  }
};

}  // namespace

TEST(RunStudy, RunsAllTrialsInOrderAndSkipsThemTheNextTime) {
  FakeRuns runs;
  EXPECT_EQ(runs.study(), 0);
  EXPECT_EQ(runs.ran, (std::vector<std::string>{"infonce-seed0", "infonce-seed1", "dcl-seed0", "dcl-seed1"}));
  EXPECT_EQ(runs.log.str(),
            "[1/4] infonce seed 0\n[2/4] infonce seed 1\n[3/4] dcl seed 0\n[4/4] dcl seed 1\n");
  for (const auto& trial : runs.trials()) {
    EXPECT_EQ(trial.state, TrialState::complete);
    EXPECT_EQ(trial.results, good);
  }
  runs.ran.clear();
  runs.log.str("");
  EXPECT_EQ(runs.study(), 0);
  EXPECT_TRUE(runs.ran.empty());
  EXPECT_EQ(runs.log.str().substr(0, 39), "[1/4] infonce seed 0: complete already\n");
}

TEST(RunStudy, GoesOnAfterAFailedTrialAndTriesItAgainNextTime) {
  FakeRuns runs;
  runs.codes["infonce-seed1"] = 4;
  runs.folder.write("infonce-seed1/status",
                    R"({"state": "failed", "step": 2, "reason": "that of last time"})");
  EXPECT_EQ(runs.study(), 1);
  EXPECT_EQ(runs.ran.size(), 4u);
  EXPECT_EQ(runs.trials()[1].state, TrialState::failed);
  EXPECT_EQ(runs.trials()[1].reason, "loss is nan at step 3");
  EXPECT_EQ(runs.trials()[3].state, TrialState::complete);
  EXPECT_NE(runs.log.str().find("[2/4] infonce seed 1 failed: loss is nan at step 3\n"), std::string::npos);
  runs.ran.clear();
  runs.codes.clear();
  EXPECT_EQ(runs.study(), 0);
  EXPECT_EQ(runs.ran, (std::vector<std::string>{"infonce-seed1"}));
}

TEST(RunStudy, StopsAtAnInterruptedTrialAndContinuesIt) {
  for (const int code : {130, 75}) {
    FakeRuns runs;
    runs.codes["infonce-seed1"] = code;
    EXPECT_EQ(runs.study(), code);
    EXPECT_EQ(runs.ran, (std::vector<std::string>{"infonce-seed0", "infonce-seed1"}));
    EXPECT_EQ(runs.trials()[1].state, TrialState::waiting);
    EXPECT_EQ(runs.trials()[2].started, "");
    runs.ran.clear();
    runs.codes.clear();
    runs.log.str("");
    EXPECT_EQ(runs.study(), 0);
    EXPECT_EQ(runs.ran, (std::vector<std::string>{"infonce-seed1", "dcl-seed0", "dcl-seed1"}));
    EXPECT_NE(runs.log.str().find("[2/4] infonce seed 1, continued\n[3/4] dcl seed 0\n"), std::string::npos);
  }
}

TEST(RunStudy, ContinuesATrialThatWasKilled) {
  FakeRuns runs;
  const pid_t child = ::fork();
  if (child == 0) {
    TrialStore store(runs.folder.path());
    const auto die_in_the_third = [&](const PlannedTrial& trial, const std::string& where) {
      if (trial.name == "dcl-seed0") ::raise(SIGKILL);
      return runs(trial, where);
    };
    run_study(four, die_in_the_third, store, runs.log);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(runs.trials()[2].state, TrialState::running);
  EXPECT_EQ(runs.study(), 0);
  EXPECT_EQ(runs.ran, (std::vector<std::string>{"dcl-seed0", "dcl-seed1"}));
  EXPECT_NE(runs.log.str().find("[3/4] dcl seed 0, continued\n"), std::string::npos);
}

TEST(RunStudy, TakesAnExceptionAsAFailureWithItsMessage) {
  FakeRuns runs;
  TrialStore store(runs.folder.path());
  const auto run = [&](const PlannedTrial& trial, const std::string& where) -> int {
    if (trial.name == "infonce-seed0") foil::fail(foil::Exit::plugin, "dcl.so: refused");
    if (trial.name == "infonce-seed1") throw std::runtime_error("from LibTorch");
    return runs(trial, where);
  };
  EXPECT_EQ(run_study(four, run, store, runs.log), 1);
  EXPECT_EQ(store.trials()[0].reason, "dcl.so: refused");
  EXPECT_EQ(store.trials()[1].reason, "from LibTorch");
  EXPECT_EQ(store.trials()[3].state, TrialState::complete);
  const auto interrupted = [&](const PlannedTrial&, const std::string&) -> int {
    foil::fail(foil::Exit::interrupted, "Ctrl-C");
  };
  EXPECT_EQ(run_study(four, interrupted, store, runs.log), 130);
  EXPECT_EQ(store.trials()[0].state, TrialState::waiting);
  EXPECT_EQ(store.trials()[1].state, TrialState::failed);
}

TEST(RunStudy, FailsATrialThatLeavesNoReadableResults) {
  FakeRuns runs;
  TrialStore store(runs.folder.path());
  const auto run = [&](const PlannedTrial& trial, const std::string& where) {
    if (trial.name == "infonce-seed0") return 0;
    if (trial.name == "infonce-seed1") runs.folder.write(trial.name + "/results.json", "{\"metrics\": {}}");
    if (trial.name == "dcl-seed0")
      runs.folder.write("dcl-seed0/status", R"({"state": "failed", "step": 2, "reason": "old"})");
    if (trial.name == "dcl-seed1") return 128 + SIGKILL;
    return trial.name == "infonce-seed1" ? 0 : trial.name == "dcl-seed0" ? 9 : runs(trial, where);
  };
  EXPECT_EQ(run_study(four, run, store, runs.log), 1);
  const auto trials = store.trials();
  EXPECT_EQ(trials[0].reason,
            runs.folder.at("infonce-seed0/results.json") + ": missing after the trial ended");
  EXPECT_EQ(
      trials[1].reason.find(runs.folder.at("infonce-seed1/results.json") + ": not the results of a run: "),
      0u);
  EXPECT_EQ(trials[2].reason, "exit code 9") << "not what an earlier attempt left";
  EXPECT_EQ(trials[3].reason, "killed by signal 9 (Killed)");
}

TEST(RunStudy, RunsNothingWhenACompleteTrialHasAnotherConfiguration) {
  FakeRuns runs;
  EXPECT_EQ(runs.study(), 0);
  runs.ran.clear();
  auto changed = four;
  changed[0].config = "other";
  changed.push_back({"new", "new", 0, "n"});
  TrialStore store(runs.folder.path());
  EXPECT_THROW(run_study(changed, std::ref(runs), store, runs.log), foil::Error);
  EXPECT_TRUE(runs.ran.empty());
}

// Several at a time: they end as the test says, the oldest last, and stop when they are asked.
struct Several final : foil::TrialRunner {
  size_t lanes = 2;
  std::vector<foil::TrialEnd> running;
  std::map<std::string, int> codes;
  std::vector<std::set<std::string>> together;
  int request = 0;
  std::string folder;

  bool free() const override { return running.size() < lanes; }
  void start(const PlannedTrial& trial, const std::string& where) override {
    running.push_back({trial.name, codes.contains(trial.name) ? codes.at(trial.name) : 0});
    std::filesystem::create_directories(where);
    std::ofstream(where + "/results.json") << good;
  }
  std::optional<foil::TrialEnd> wait() override {
    auto& names = together.emplace_back();
    for (const auto& end : running) names.insert(end.name);
    if (running.empty()) return std::nullopt;
    const foil::TrialEnd end = running.back();
    running.pop_back();
    return end;
  }
  int asked() const override { return 0; }
  void ask(int code) override {
    for (auto& end : running) end.code = code;
    request = code;
  }
  void end(const std::string&) override {}
};

TEST(RunStudy, KeepsAllLanesBusyAndRunsEachTrialOnce) {
  const Folder folder;
  TrialStore store(folder.path());
  foil::StoreBooks books(four, store);
  Several runner;
  runner.codes["infonce-seed1"] = 3;
  std::ostringstream log;
  EXPECT_EQ(foil::run_study(four, runner, books, log), 1);
  EXPECT_EQ(runner.together, (std::vector<std::set<std::string>>{{"infonce-seed0", "infonce-seed1"},
                                                                 {"infonce-seed0", "dcl-seed0"},
                                                                 {"infonce-seed0", "dcl-seed1"},
                                                                 {"infonce-seed0"}}));
  EXPECT_EQ(log.str(),
            "[1/4] infonce seed 0\n[2/4] infonce seed 1\n[2/4] infonce seed 1 failed: exit code 3\n"
            "[3/4] dcl seed 0\n[4/4] dcl seed 1\n");
  EXPECT_EQ(store.trials()[1].state, TrialState::failed);
  for (const size_t i : {0, 2, 3}) EXPECT_EQ(store.trials()[i].state, TrialState::complete);
}

TEST(RunStudy, ATrialThatStopsAsksTheOthersToStopAndNoneIsBegun) {
  const Folder folder;
  TrialStore store(folder.path());
  foil::StoreBooks books(four, store);
  Several runner;
  runner.codes["infonce-seed1"] = 75;
  std::ostringstream log;
  EXPECT_EQ(foil::run_study(four, runner, books, log), 75);
  EXPECT_EQ(runner.request, 75);
  for (const auto& trial : store.trials()) EXPECT_EQ(trial.state, TrialState::waiting);
  EXPECT_EQ(store.trials()[2].started, "");
}

TEST(DryRun, ListsTrialsAndStepsWithoutATimeWhenNoneIsKnown) {
  EXPECT_EQ(foil::dry_run(four, {}),
            "infonce-seed0  938 steps  waiting\n"
            "infonce-seed1  938 steps  waiting\n"
            "dcl-seed0      938 steps  waiting\n"
            "dcl-seed1      938 steps  waiting\n"
            "4 of 4 trials to run, 3,752 steps\n");
}

TEST(DryRun, EstimatesTheTimeFromCompleteTrials) {
  std::vector<TrialRecord> known(3);
  for (size_t i = 0; i < 3; ++i) known[i].name = four[i].name;
  known[0].state = TrialState::complete;
  known[0].seconds = 100;
  known[0].results = good;
  known[1].state = TrialState::failed;
  known[1].seconds = 1;
  known[2].state = TrialState::running;
  EXPECT_EQ(foil::dry_run(four, known),
            "infonce-seed0  938 steps  complete\n"
            "infonce-seed1  938 steps  failed\n"
            "dcl-seed0      938 steps  running\n"
            "dcl-seed1      938 steps  waiting\n"
            "3 of 4 trials to run, 2,814 steps, about 5 min 0 s at 9.38 steps/s\n");
}

TEST(DryRun, CountsTheCheckpointsAndTheTrialsAtATime) {
  std::vector<TrialRecord> known(1);
  known[0].name = four[0].name;
  known[0].state = TrialState::complete;
  known[0].seconds = 100;
  known[0].results = good;
  std::vector<PlannedTrial> planned = four;
  for (PlannedTrial& trial : planned) trial.disk = 20'000'000;
  const std::string said = foil::dry_run(planned, known, 2);
  EXPECT_TRUE(
      said.ends_with("3 of 4 trials to run, 2,814 steps, about 2 min 30 s at 9.38 steps/s and 2 trials at a "
                     "time, checkpoints of 60 MB\n"))
      << said;
}

TEST(DryRun, SaysWhenStepsAreNotKnown) {
  EXPECT_EQ(foil::dry_run({{"a", "a", 0, "h"}}, {}), "a  steps not known  waiting\n1 of 1 trials to run\n");
}

// Trials measure what the test says while they train; those that are poor go on until they are ended.
struct Measured final : foil::TrialRunner {
  std::map<std::string, double> knn;
  std::string running;
  int code = 0;

  bool free() const override { return running.empty(); }
  void start(const PlannedTrial& trial, const std::string& where) override {
    std::filesystem::create_directories(where);
    std::ofstream(where + "/metrics.jsonl")
        << R"({"step": 10, "epoch": 0, "knn.protocol": "part", "knn": )" << knn.at(trial.name) << "}\n";
    std::ofstream(where + "/results.json") << good;
    running = trial.name;
    code = 0;
  }
  std::optional<foil::TrialEnd> wait() override {
    if (running.empty() || (knn.at(running) < 50 && code == 0)) return std::nullopt;
    return foil::TrialEnd{std::exchange(running, ""), code};
  }
  int asked() const override { return 0; }
  void ask(int) override {}
  void end(const std::string& trial) override {
    if (trial == running) code = 75;
  }
};

TEST(RunStudy, PrunesATrialThatFallsBehindAndGoesOnWithTheOthers) {
  const Folder folder;
  Measured runner;
  std::vector<PlannedTrial> planned;
  for (int i = 0; i < 7; ++i) {
    const std::string name = "seed" + std::to_string(i);
    planned.push_back({name, "one", i, "c" + std::to_string(i), 10});
    runner.knn[name] = i == 5 ? 40 : 60;
  }
  std::ostringstream log;
  const auto study = [&](bool prune) {
    TrialStore store(folder.path());
    foil::StoreBooks books(planned, store, prune);
    log.str("");
    const int code = foil::run_study(planned, runner, books, log,
                                     prune ? std::optional<foil::Pruning>(std::in_place) : std::nullopt);
    EXPECT_EQ(code, 0);
    return store.trials();
  };
  const std::string pruned =
      "[6/7] one seed 5, pruned: after epoch 1 its best kNN, 40.0, is worse than 60.0, the median of 5 "
      "complete "
      "trials\n";
  auto trials = study(true);
  EXPECT_EQ(trials[5].state, TrialState::pruned);
  EXPECT_EQ(trials[6].state, TrialState::complete);
  EXPECT_TRUE(log.str().ends_with("[6/7] one seed 5\n" + pruned + "[7/7] one seed 6\n")) << log.str();
  trials = study(true);
  EXPECT_EQ(trials[5].state, TrialState::pruned);
  EXPECT_NE(log.str().find(pruned), std::string::npos) << log.str();
  EXPECT_EQ(foil::dry_run(planned, trials).find("1 of"), std::string::npos);
  runner.knn["seed5"] = 60;
  EXPECT_EQ(study(false)[5].state, TrialState::complete) << "no longer asked for";
}
