// SPDX-License-Identifier: BSD-3-Clause
// foil ablate --join: processes that run one study together, some of which die.
#include "sweeps.h"

#include <numeric>
#include <random>

namespace {

const std::vector<std::string> sweep = {"infonce-seed0", "infonce-seed1", "dcl-seed0", "dcl-seed1"};

// Of two trials, the second of which fails.
const std::string one_failing =
    replaced(experiment("grid = { \"optimizer.learning_rate\" = [0.05, 1e30] }\n"), "seeds = 2",
             "seeds = 1") +
    foil::kHold;

// A process of the study, with its own output. They share a folder of runs.
class Worker {
 public:
  Worker(const fs::path& output, const std::string& text) : output_(output) { place.write("e.toml", text); }
  void start(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"ablate", "e.toml", "--join", "--set", "run.output=" + output_.string()});
    pid = place.start_foil(more, find_hold);
  }
  Outcome wait() const { return place.wait(pid); }
  void kill(int signal) const { ::kill(pid, signal); }
  bool says(const std::string& text) const {
    return slurp(place.folder / "stderr.txt").find(text) != std::string::npos;
  }
  // Starts it and returns while the trial that it runs is held after two steps.
  void start_and_hold(const std::vector<std::string>& more = {}) {
    place.hold_at("2");
    start(more);
    EXPECT_TRUE(Workplace::eventually([&] { return place.is_held("2"); }))
        << slurp(place.folder / "stderr.txt");
  }

  const Workplace place;
  pid_t pid = 0;

 private:
  const fs::path output_;
};

// What a process prints behind the name of the folder, without what the machine says.
std::string table(const Outcome& outcome) {
  const std::string text = before_effort(outcome.out);
  return text.substr(text.find('\n'));
}

class Join : public ::testing::Test {
 protected:
  std::unique_ptr<Worker> worker(const std::string& text = experiment(two_losses) + foil::kHold) const {
    return std::make_unique<Worker>(shared_.folder, text);
  }
  int64_t rows_of(const std::string& trial) const { return rows(study_ / trial); }
  // The ends of the attempts at a trial, in their order; "" of one that has none.
  std::vector<std::string> ends_of(const std::string& trial) const {
    std::vector<std::string> ends;
    const fs::path claims = study_ / "claims" / trial;
    for (int i = 1; fs::exists(claims / std::to_string(i)); ++i) {
      const fs::path end = claims / (std::to_string(i) + ".ended");
      ends.push_back(fs::exists(end) ? read_json(end)["state"].get<std::string>() : "");
    }
    return ends;
  }

  const Workplace shared_;
  const fs::path study_ = shared_.folder / "small";
};

TEST_F(Join, FourProcessesOfWhichTwoAreKilledMakeEveryTrialOnceAndTheTableOfOne) {
  const std::string text = replaced(experiment(two_losses), "seeds = 2", "seeds = 4");
  const Workplace single;
  single.write("e.toml", text);
  const Outcome one = single.foil({"ablate", "e.toml"});
  ASSERT_EQ(one.code, 0) << one.err;
  std::vector<std::string> trials;
  for (const auto& entry : fs::directory_iterator(single.folder / "runs/small"))
    if (fs::exists(entry.path() / "results.json")) trials.push_back(entry.path().filename());
  ASSERT_EQ(trials.size(), 8u);

  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::vector<std::unique_ptr<Worker>> workers;
  for (int i = 0; i < 4; ++i) workers.push_back(worker(text));
  for (const auto& each : workers) each->start();
  std::vector<size_t> order(workers.size());
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random);
  int64_t moment = 0;  // in steps of all trials together, of 160
  for (const size_t victim : {order[0], order[1]}) {
    moment += std::uniform_int_distribution<int64_t>(1, 50)(random);
    EXPECT_TRUE(Workplace::eventually([&] {
      return std::accumulate(trials.begin(), trials.end(), int64_t{0},
                             [&](int64_t sum, const auto& trial) { return sum + rows_of(trial); }) >= moment;
    }));
    workers[victim]->kill(SIGKILL);
  }
  for (size_t i = 0; i < workers.size(); ++i) {
    const Outcome outcome = workers[order[i]]->wait();
    const bool killed = outcome.code == 128 + SIGKILL;  // unless all had been done by then
    EXPECT_TRUE(outcome.code == 0 || (killed && i < 2)) << outcome.code << outcome.err;
    EXPECT_EQ(killed ? table(one) : table(outcome), table(one)) << outcome.err;
  }
  for (const std::string& trial : trials) {
    const auto ends = ends_of(trial);
    EXPECT_EQ(std::count(ends.begin(), ends.end(), "complete"), 1) << trial;
    EXPECT_EQ(std::count(ends.begin(), ends.end(), ""), static_cast<int64_t>(ends.size()) - 1) << trial;
    for (const std::string file : {"results.json", "metrics.jsonl"})
      EXPECT_EQ(slurp(study_ / trial / file), slurp(single.folder / "runs/small" / trial / file)) << trial;
  }
  const Outcome compared = single.foil({"compare", study_.string()});
  EXPECT_EQ(before_effort("\n" + compared.out), table(one));
}

TEST_F(Join, WhoHasNothingLeftWaitsForTheOthersAndTakesOverFromTheDead) {
  const auto first = worker(), second = worker();
  first->start_and_hold();
  second->start();
  EXPECT_TRUE(Workplace::eventually([&] {
    return std::all_of(sweep.begin() + 1, sweep.end(), [&](const auto& trial) {
      return ends_of(trial) == std::vector<std::string>{"complete"};
    });
  }));
  EXPECT_EQ(ends_of(sweep[0]), (std::vector<std::string>{""}));
  EXPECT_FALSE(fs::exists(study_ / "report.html"));
  first->kill(SIGKILL);
  EXPECT_EQ(first->wait().code, 128 + SIGKILL);
  const Outcome outcome = second->wait();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_GE(line_of(outcome.err, "[1/4] infonce seed 0, continued"), 0) << outcome.err;
  EXPECT_EQ(ends_of(sweep[0]), (std::vector<std::string>{"", "complete"}));
  EXPECT_EQ(rows_of(sweep[0]), 20);
}

TEST_F(Join, WhoIsAskedToStopLeavesItsTrialsToTheOthers) {
  const auto first = worker(), second = worker();
  first->start_and_hold({"--parallel", "2"});
  first->kill(SIGTERM);
  first->place.let_go("2");
  const Outcome stopped = first->wait();
  EXPECT_EQ(stopped.code, 75) << stopped.err;
  EXPECT_EQ(lines(stopped.err).back(), "stopped; the same command goes on with the study");
  second->start();
  const Outcome outcome = second->wait();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  for (const std::string& trial : sweep) {
    EXPECT_EQ(ends_of(trial).back(), "complete");
    EXPECT_EQ(rows_of(trial), 20);
  }
}

TEST_F(Join, WhoCannotJoinIsToldWhoWorksThere) {
  const auto first = worker();
  first->start_and_hold();
  const Workplace alone;
  alone.write("e.toml", experiment(two_losses) + foil::kHold);
  const std::string folder = "run.output=" + shared_.folder.string();
  for (const std::vector<std::string>& more : {std::vector<std::string>{}, {"--restart"}}) {
    std::vector<std::string> command{"ablate", "e.toml", "--set", folder};
    command.insert(command.end(), more.begin(), more.end());
    const Outcome outcome = alone.foil(command, find_hold);
    EXPECT_EQ(outcome.code, 1);
    EXPECT_NE(outcome.err.find(": process " + std::to_string(first->pid) + " on host "), std::string::npos)
        << outcome.err;
    EXPECT_NE(outcome.err.find(" works on this study with others. Join them by --join, or wait for them.\n"),
              std::string::npos)
        << outcome.err;
  }
  first->place.let_go("2");
  const Outcome joined = first->wait();
  EXPECT_EQ(joined.code, 0) << joined.err;
  const Outcome later = alone.foil({"ablate", "e.toml", "--set", folder}, find_hold);
  EXPECT_EQ(later.code, 0) << later.err;
  EXPECT_EQ(count(later.err, ": complete already\n"), 4) << later.err;
  EXPECT_EQ(later.out, joined.out);
}

TEST_F(Join, AFailureIsOneForAllAndTriedAgainByWhoBeginsLater) {
  const auto first = worker(one_failing), second = worker(one_failing), third = worker(one_failing);
  first->start_and_hold();
  second->start();
  EXPECT_TRUE(Workplace::eventually([&] { return ends_of("learning_rate=1e+30-seed0").size() == 1; }));
  first->place.let_go("2");
  for (const auto& each : {first.get(), second.get()}) {
    const Outcome outcome = each->wait();
    EXPECT_EQ(outcome.code, 1) << outcome.err;
    EXPECT_EQ(count(outcome.out, "failed: learning_rate=1e+30 seed 0: step "), 1) << outcome.out;
  }
  EXPECT_EQ(ends_of("learning_rate=1e+30-seed0"), (std::vector<std::string>{"failed"}));
  third->start();
  EXPECT_EQ(third->wait().code, 1);
  EXPECT_EQ(ends_of("learning_rate=1e+30-seed0"), (std::vector<std::string>{"failed", "failed"}));
}

// What a task of the array does: srun and scontrol are scripts that stand for Slurm's.
TEST_F(Join, TheScriptOfASlurmArrayRunsTheStudyAndComesBackWhenItWasStopped) {
  const Workplace place;
  place.write("my e.toml", experiment(two_losses));
  const Outcome script = place.foil({"ablate", "my e.toml", "--slurm", "--parallel", "3", "--nproc", "2",
                                     "--set", "run.name=it's", "--set", "run.threads=4"});
  ASSERT_EQ(script.code, 0) << script.err;
  EXPECT_GE(line_of(script.out, "#SBATCH --array=1-2"), 0) << script.out;
  EXPECT_GE(line_of(script.out, "#SBATCH --cpus-per-task=24"), 0) << script.out;
  EXPECT_FALSE(fs::exists(place.folder / "runs"));
  place.write("task.sh", script.out);
  const std::vector<std::string> environment = {
      "PATH=" + (place.folder / "bin").string() + ":" + std::getenv("PATH"), "SLURM_CPUS_PER_TASK=24",
      "SLURM_ARRAY_JOB_ID=7", "SLURM_ARRAY_TASK_ID=2"};
  const auto program = [&](const std::string& name, const std::string& lines) {
    fs::permissions(place.folder / place.write("bin/" + name, "#!/bin/sh\n" + lines), fs::perms::owner_all);
  };
  program("srun", "for argument; do echo \"$argument\"; done\nexit $(cat code)\n");
  program("scontrol", "echo \"$@\"\n");
  std::string arguments = "--cpus-per-task=24\n";
  for (const std::string argument : {FOIL_PROGRAM, "ablate", "my e.toml", "--join", "--nproc", "2",
                                     "--parallel", "3", "--set", "run.name=it's", "--set", "run.threads=4"})
    arguments += argument + "\n";
  for (const std::string code : {"0", "1", "75"}) {
    place.write("code", code);
    const Outcome task = place.run({"sh", "task.sh"}, environment);
    EXPECT_EQ(std::to_string(task.code), code) << task.err;
    EXPECT_EQ(task.out, arguments + (code == "75" ? "requeue 7_2\n" : ""));
  }
  program("srun", "shift\nexec \"$@\" --set run.steps=2 --set sweep.seeds=1 --quiet\n");
  const Outcome task = place.run({"sh", "task.sh"}, environment);
  EXPECT_EQ(task.code, 0) << task.err;
  EXPECT_EQ(lines(task.out).back(), "runs/it's/report.html");
}

TEST_F(Join, DoesNotBeginAStudyAnew) {
  const auto first = worker();
  first->start({"--restart"});
  const Outcome outcome = first->wait();
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("--join"), std::string::npos) << outcome.err;
  EXPECT_FALSE(fs::exists(study_));
}

}  // namespace
