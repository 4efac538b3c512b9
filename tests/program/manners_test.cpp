// SPDX-License-Identifier: BSD-3-Clause
// How the program behaves around a run: again, interrupted, resumed, locked, on which stream, from which
// folder.
#include "tests/support/run_foil.h"

#include <nlohmann/json.hpp>

#include <map>
#include <regex>
#include <set>

namespace {

namespace fs = std::filesystem;
using foil::Outcome;
using foil::slurp;
using foil::small_experiment;
using foil::Workplace;

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> all;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) all.push_back(line);
  return all;
}

int64_t rows(const fs::path& run) { return static_cast<int64_t>(lines(slurp(run / "metrics.jsonl")).size()); }
nlohmann::json read_json(const fs::path& path) { return nlohmann::json::parse(slurp(path)); }

// The processes that work in a folder, but for this one.
std::set<pid_t> processes_in(const fs::path& folder) {
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

TEST_F(Manners, ResultsGoToStdoutFromTheRunFolderToWhereTheyAreAndTheRestToStderr) {
  const Outcome outcome = place_.foil({"train", "e.toml"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto out = lines(outcome.out);
  ASSERT_GT(out.size(), 2u);
  EXPECT_EQ(out.front(), "runs/small/seed0");
  EXPECT_EQ(out.back(), "runs/small/seed0/results.json");
  EXPECT_TRUE(std::regex_search(outcome.out, std::regex("\nknn +[0-9.]+\n")));
  EXPECT_EQ(outcome.out.find("it/s"), std::string::npos);
  EXPECT_NE(outcome.err.find("train 100% 20/20"), std::string::npos);
  EXPECT_TRUE(
      std::regex_search(outcome.err, std::regex("checkpoints: 2 x [0-9.]+ kB, free [0-9.]+ [kMGT]B\n")))
      << outcome.err;
  EXPECT_EQ(outcome.err.find('\x1b'), std::string::npos) << "escape sequences, but stderr is no terminal";
  const nlohmann::json status = read_json(run_ / "status");
  EXPECT_EQ(status["state"], "finished");
  EXPECT_EQ(status["step"], 20);
  EXPECT_TRUE(std::regex_match(status["utc"].get<std::string>(),
                               std::regex("20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")));
}

TEST_F(Manners, QuietLeavesStderrEmpty) {
  const Outcome outcome = place_.foil({"train", "e.toml", "--quiet"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(lines(outcome.out).front(), "runs/small/seed0");
}

TEST_F(Manners, TheSameCommandAfterTheEndSaysSoAndRewritesNothing) {
  ASSERT_EQ(place_.foil({"train", "e.toml"}).code, 0);
  const auto contents = [&] {
    std::map<std::string, std::pair<std::string, fs::file_time_type>> files;
    for (const auto& entry : fs::recursive_directory_iterator(run_)) {
      if (entry.is_regular_file()) files[entry.path()] = {slurp(entry.path()), entry.last_write_time()};
    }
    return files;
  };
  const auto before = contents();
  const Outcome again = place_.foil({"train", "e.toml"});
  EXPECT_EQ(again.code, 0);
  EXPECT_EQ(again.out, "runs/small/seed0\nfinished at step 20\nruns/small/seed0/results.json\n");
  EXPECT_TRUE(contents() == before);
}

TEST_F(Manners, AnotherExperimentInTheSameFolderIsRefusedNamingTheKeys) {
  ASSERT_EQ(place_.foil({"train", "e.toml", "--quiet"}).code, 0);
  const Outcome other = place_.foil(
      {"train", "e.toml", "--set", "loss.temperature=0.5", "--set", "optimizer.learning_rate=0.1"});
  EXPECT_EQ(other.code, 2);
  EXPECT_EQ(replaced(other.err, "runs/small/seed0", "RUN"),
            "RUN: holds a run of another experiment, which differs in loss.temperature: 0.2 -> 0.5, "
            "optimizer.learning_rate: 0.05 "
            "-> 0.1. Choose another run.name, or "
            "--restart to keep the old folder aside and begin anew.\n");
  EXPECT_EQ(read_json(run_ / "status")["state"], "finished");
}

TEST_F(Manners, RestartKeepsTheOldFolderAside) {
  ASSERT_EQ(place_.foil({"train", "e.toml", "--quiet"}).code, 0);
  const std::string before = slurp(run_ / "metrics.jsonl");
  const Outcome anew = place_.foil({"train", "e.toml", "--restart", "--set", "loss.temperature=0.5"});
  ASSERT_EQ(anew.code, 0) << anew.err;
  std::vector<fs::path> kept;
  for (const auto& entry : fs::directory_iterator(run_.parent_path())) {
    if (entry.path().filename().string().rfind("seed0.old-", 0) == 0) kept.push_back(entry.path());
  }
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_NE(anew.err.find("the old folder is kept as runs/small/" + kept[0].filename().string()),
            std::string::npos)
      << anew.err;
  EXPECT_EQ(slurp(kept[0] / "metrics.jsonl"), before);
  EXPECT_EQ(rows(run_), 20);
  EXPECT_NE(slurp(run_ / "metrics.jsonl"), before);
}

TEST_F(Manners, CtrlCEndsTheStepAndTheCommandThatItPrintsGoesOnToTheSameEnd) {
  const Outcome stopped = signalled(start_long(5), SIGINT);
  ASSERT_EQ(stopped.code, 130) << stopped.err;
  EXPECT_EQ(stopped.out, "runs/small/seed0\n");
  const int64_t done = rows(run_);
  EXPECT_EQ(done, 6);
  EXPECT_EQ(state(), "interrupted");
  const std::string head = "stopped after step " + std::to_string(done) + ", checkpoint written. To go on: ";
  const std::string last = lines(stopped.err).back();
  ASSERT_EQ(last.substr(0, head.size()), head);
  const std::string command = last.substr(head.size());
  EXPECT_EQ(command, std::string(FOIL_PROGRAM) + " train long.toml");
  ASSERT_EQ(place_.run({"sh", "-c", command}).code, 0);
  EXPECT_EQ(state(), "finished");
  expect_as_uninterrupted();
}

TEST_F(Manners, CtrlCEndsTheEvaluationAtItsNextChunkAndTheSameCommandMakesIt) {
  place_.write("held.toml", small_experiment() + foil::kHold);
  for (const std::string ranks : {"1", "2"}) {
    fs::remove_all(place_.folder / "runs");
    // Chunks of one sample: many places to stop at.
    const std::vector<std::string> command{"train",   "held.toml",
                                           "--nproc", ranks,
                                           "--set",   "run.steps=2",
                                           "--set",   "data.test_samples=6000",
                                           "--set",   "evaluate.batch_size=1"};
    const Outcome stopped = signalled(start_held(command, "evaluation"), SIGINT);
    ASSERT_EQ(stopped.code, 130) << ranks << " ranks: " << stopped.err;
    EXPECT_EQ(state(), "interrupted");
    EXPECT_FALSE(fs::exists(run_ / "results.json"));
    EXPECT_NE(
        stopped.err.find(
            "stopped in the evaluation after step 2, whose checkpoint is written. To go on: " FOIL_PROGRAM
            " train held.toml "),
        std::string::npos)
        << stopped.err;
  }
  const Outcome whole = place_.foil({"train", "held.toml", "--set", "run.steps=2", "--set",
                                     "data.test_samples=6000", "--set", "evaluate.batch_size=1"});
  EXPECT_EQ(whole.code, 0) << whole.err;
  EXPECT_EQ(state(), "finished");
  EXPECT_TRUE(fs::exists(run_ / "results.json"));
}

TEST_F(Manners, ASecondCtrlCStopsAtOnce) {
  const pid_t pid = start_long(1);
  std::thread insist([&] {  // a signal that is still pending swallows the next
    while (::kill(pid, SIGINT) == 0 && fs::exists("/proc/" + std::to_string(pid) + "/fd/0"))
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
  });
  const Outcome outcome = place_.wait(pid);
  insist.join();
  EXPECT_EQ(outcome.code, 130);
  EXPECT_EQ(outcome.err.find("checkpoint written"), std::string::npos) << outcome.err;
  EXPECT_EQ(state(), "running");
}

TEST_F(Manners, SigtermAndSigusr1AskToBeRunAgainAndTheEndIsTheSame) {
  const Outcome first = signalled(start_long(5), SIGTERM);
  EXPECT_EQ(first.code, 75) << first.err;
  EXPECT_EQ(state(), "again");
  const int64_t done = rows(run_);
  const Outcome second = signalled(start_long(done + 5), SIGUSR1);
  EXPECT_EQ(second.code, 75) << second.err;
  EXPECT_GT(rows(run_), done);
  ASSERT_EQ(place_.foil({"train", "long.toml"}).code, 0);
  expect_as_uninterrupted();
}

TEST_F(Manners, RanksGetTheSignalsAndAgreeOnTheStep) {
  const Outcome first = signalled(start_long(5, {"--nproc", "2"}), SIGTERM);
  EXPECT_EQ(first.code, 75) << first.err;
  EXPECT_EQ(state(), "again");
  const Outcome second = signalled(start_long(rows(run_) + 5, {"--nproc", "2"}), SIGINT);
  EXPECT_EQ(second.code, 130) << second.err;
  EXPECT_EQ(state(), "interrupted");
  EXPECT_NE(second.err.find("To go on: " FOIL_PROGRAM " train long.toml --nproc 2\n"), std::string::npos)
      << second.err;
  EXPECT_EQ(processes_in(place_.folder), std::set<pid_t>());
  const Outcome third = place_.foil({"train", "--nproc=2", "long.toml"});
  ASSERT_EQ(third.code, 0) << third.err;
  EXPECT_EQ(lines(third.out).front(), "runs/small/seed0");
  EXPECT_EQ(lines(third.out).back(), "runs/small/seed0/results.json");
  expect_as_uninterrupted({"--nproc", "2"});
}

TEST_F(Manners, TheCodeOfTheFailingRankIsReturnedAndItsReasonToldOnce) {
  const std::string error_file = (place_.folder / "error.json").string();
  const Outcome outcome =
      place_.foil({"train", "e.toml", "--nproc", "2", "--set", "optimizer.learning_rate=1e30"},
                  {"TORCHELASTIC_ERROR_FILE=" + error_file});
  EXPECT_EQ(outcome.code, 4) << outcome.err;
  std::vector<std::string> told;
  for (const std::string& line : lines(outcome.err)) {
    if (line.find("non-finite") != std::string::npos) told.push_back(line);
  }
  ASSERT_EQ(told.size(), 1u) << outcome.err;
  EXPECT_EQ(processes_in(place_.folder), std::set<pid_t>());
  const nlohmann::json error = read_json(error_file)["message"];
  EXPECT_EQ(error["message"], told[0]);
  EXPECT_EQ(error["errorCode"], 4);
  EXPECT_EQ(state(), "failed");
  EXPECT_EQ(read_json(run_ / "status")["reason"], told[0]);
}

TEST_F(Manners, ALauncherThatIsKilledLeavesNoOrphan) {
  const pid_t pid = start_long(3, {"--nproc", "2", "--set", "run.steps=100000"});
  EXPECT_EQ(processes_in(place_.folder).size(), 3u);
  EXPECT_EQ(signalled(pid, SIGKILL).code, 128 + SIGKILL);
  EXPECT_TRUE(Workplace::eventually([&] { return processes_in(place_.folder).empty(); }));
}

TEST_F(Manners, ARunningRunKeepsItsFolderAndADeadOneLosesIt) {
  const pid_t pid = start_long(5, {"--set", "checkpoint.every=4"});
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  const Workplace elsewhere;  // whose stdout.txt is another
  const Outcome second =
      elsewhere.foil({"train", (place_.folder / "long.toml").string(), "--set",
                      "run.output=" + (place_.folder / "runs").string(), "--set", "checkpoint.every=4"});
  EXPECT_EQ(second.code, 1);
  EXPECT_EQ(second.err, run_.string() + ": another run is working here: process " + std::to_string(pid) +
                            " on host " + host + "\n");
  EXPECT_EQ(signalled(pid, SIGKILL).code, 128 + SIGKILL);
  const Outcome third = place_.foil({"train", "long.toml", "--set", "checkpoint.every=4"});
  EXPECT_EQ(third.code, 0);
  EXPECT_NE(third.err.find("runs/small/seed0: took over the lock of process " + std::to_string(pid) +
                           ", which is dead\n"),
            std::string::npos)
      << third.err;
  expect_as_uninterrupted({"--set", "checkpoint.every=4"});
}

TEST_F(Manners, PathsInAFileAreRelativeToItAndOnTheCommandLineToTheWorkingFolder) {
  place_.write("sub/base.toml", replaced(small_experiment("output = \"here\"\n"), "steps = 20", "steps = 1"));
  place_.write("deeper/e.toml", "extends = \"../sub/base.toml\"\n");
  const Outcome file = place_.foil({"train", "deeper/e.toml", "--quiet"});
  EXPECT_EQ(file.code, 0) << file.err;
  EXPECT_EQ(lines(file.out).front(), "sub/here/small/seed0");
  EXPECT_TRUE(fs::exists(place_.folder / "sub/here/small/seed0/results.json"));
  const Outcome set = place_.foil({"train", "deeper/e.toml", "--quiet", "--set", "run.output=there"});
  EXPECT_EQ(lines(set.out).front(), "there/small/seed0");
  EXPECT_TRUE(fs::exists(place_.folder / "there/small/seed0/results.json"));
  place_.write("deeper/default.toml", replaced(small_experiment(), "steps = 20", "steps = 1"));
  EXPECT_EQ(lines(place_.foil({"train", "deeper/default.toml", "--quiet"}).out).front(), "runs/small/seed0");
  EXPECT_TRUE(fs::exists(run_ / "results.json"));
}

TEST_F(Manners, ClosedStandardStreamsTakeNoFileOfTheRun) {
  const Outcome outcome = place_.run({"bash", "-c", "exec " FOIL_PROGRAM " train e.toml <&- >&- 2>&-"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(rows(run_), 20);
  for (const std::string& line : lines(slurp(run_ / "metrics.jsonl")))
    EXPECT_TRUE(nlohmann::json::accept(line)) << line;
  EXPECT_EQ(read_json(run_ / "status")["state"], "finished");
  for (const auto& entry : fs::recursive_directory_iterator(run_)) {
    if (!entry.is_regular_file()) continue;
    EXPECT_EQ(slurp(entry.path()).find("samples/s"), std::string::npos) << entry.path();
  }
}

TEST_F(Manners, AReaderThatGoesAwayEndsNothing) {
  const Outcome outcome =
      place_.run({"bash", "-c", "set -o pipefail; " FOIL_PROGRAM " train e.toml 2>&1 | true"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(read_json(run_ / "status")["state"], "finished");
  EXPECT_TRUE(fs::exists(run_ / "results.json"));
  EXPECT_FALSE(fs::exists(run_ / "lock"));
}

TEST_F(Manners, StepsAndEpochsReplaceEachOther) {
  place_.write("epochs.toml", replaced(small_experiment(), "steps = 20", "epochs = 2"));
  ASSERT_EQ(place_.foil({"train", "epochs.toml", "--quiet", "--set", "run.steps=3"}).code, 0);
  EXPECT_EQ(rows(run_), 3);
  ASSERT_EQ(place_.foil({"train", "e.toml", "--quiet", "--restart", "--set", "run.epochs=2"}).code, 0);
  EXPECT_EQ(rows(run_), 8);  // 257 samples are 4 batches of 64
}

TEST_F(Manners, TrainTakesTheFirstTrialOfASweepAndSetWinsOverIt) {
  place_.write("sweep.toml", replaced(small_experiment(), "steps = 20", "steps = 1") +
                                 "[sweep]\nseeds = [7, 8]\ngrid = { \"loss.temperature\" = [0.3, 0.4], "
                                 "\"loss.name\" = [\"dcl\", \"infonce\"] }\n");
  const auto resolved = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"train", "sweep.toml", "--quiet"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = place_.foil(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return slurp(place_.folder / lines(outcome.out).front() / "config.resolved.toml");
  };
  const std::string first = resolved({});
  EXPECT_NE(first.find("temperature = 0.3\n"), std::string::npos);
  EXPECT_NE(first.find("name = \"dcl\"\n"), std::string::npos);
  EXPECT_NE(first.find("seed = 7\n"), std::string::npos);
  const std::string set = resolved({"--set", "loss.temperature=0.5", "--set", "run.seed=9"});
  EXPECT_NE(set.find("temperature = 0.5\n"), std::string::npos);
  EXPECT_NE(set.find("name = \"dcl\"\n"), std::string::npos);
  EXPECT_NE(set.find("seed = 9\n"), std::string::npos);
}

TEST_F(Manners, EvaluateGivesTheNumbersOfTheRunAgain) {
  ASSERT_EQ(place_.foil({"train", "e.toml", "--quiet"}).code, 0);
  const Outcome again = place_.foil({"evaluate", "runs/small/seed0", "--quiet"});
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(again.err, "");
  EXPECT_EQ(lines(again.out).front(), "runs/small/seed0");
  EXPECT_EQ(lines(again.out).back(), "runs/small/seed0/evaluation-step20.json");
  nlohmann::json trained = read_json(run_ / "results.json");
  const nlohmann::json evaluated = read_json(run_ / "evaluation-step20.json");
  EXPECT_GT(trained.erase("loss"), 0u);  // which only training knows
  EXPECT_GT(trained["metrics"].size(), 3u);
  EXPECT_EQ(evaluated, trained);
  EXPECT_EQ(place_
                .foil({"evaluate", "runs/small/seed0", "--quiet", "--checkpoint",
                       "runs/small/seed0/checkpoints/step-00000016.json"})
                .code,
            0);
  EXPECT_NE(read_json(run_ / "evaluation-step16.json")["metrics"], trained["metrics"]);
}

TEST_F(Manners, ConfigShowsOriginsAndReadsBack) {
  const Outcome shown = place_.foil({"config", "e.toml", "--set", "loss.temperature=0.3"});
  ASSERT_EQ(shown.code, 0) << shown.err;
  EXPECT_NE(shown.out.find("temperature = 0.3  # --set loss.temperature=0.3\n"), std::string::npos)
      << shown.out;
  EXPECT_NE(shown.out.find("steps = 20  # e.toml:3:9\n"), std::string::npos);
  EXPECT_NE(shown.out.find("seed = 0  # default\n"), std::string::npos);
  place_.write("elsewhere/back.toml", shown.out);
  const Outcome back = place_.foil({"config", "elsewhere/back.toml"});
  ASSERT_EQ(back.code, 0) << back.err;
  const auto values = [](const std::string& text) {
    return std::regex_replace(text, std::regex("  # [^\n]*"), "");
  };
  EXPECT_EQ(values(back.out), values(shown.out));
  const Outcome epochs = place_.foil({"config", "e.toml", "--set", "run.epochs=2"});
  EXPECT_NE(epochs.out.find("epochs = 2  # --set run.epochs=2\n"), std::string::npos);
  EXPECT_EQ(epochs.out.find("steps = 20"), std::string::npos);
}

// Threads that wait for each other take no core from the thread they wait for.
TEST_F(Manners, ThreadsAreToldToSleepAtBarriersUnlessTheUserSaysHowToWait) {
  ::unsetenv("OMP_WAIT_POLICY");
  ::unsetenv("GOMP_SPINCOUNT");
  const auto policy = [&](const std::vector<std::string>& env) {
    const std::string out = place_.foil({"doctor"}, env).out, head = "waiting for each other: ";
    const size_t at = out.find(head);
    EXPECT_NE(at, std::string::npos) << out;
    return at == std::string::npos ? "" : lines(out.substr(at + head.size())).front();
  };
  EXPECT_EQ(policy({}), "GOMP_SPINCOUNT=20000");
  EXPECT_EQ(policy({"OMP_WAIT_POLICY=active"}), "OMP_WAIT_POLICY=active");
  EXPECT_EQ(policy({"GOMP_SPINCOUNT=7"}), "GOMP_SPINCOUNT=7");
}

TEST_F(Manners, TheProgramStaysTheProcessThatWasStartedUnderItsOwnName) {
  const pid_t pid = start_long(1);
  const auto of_proc = [&](const char* file) { return slurp("/proc/" + std::to_string(pid) + "/" + file); };
  EXPECT_EQ(of_proc("comm"), "foil\n");
  EXPECT_EQ(of_proc("cmdline"), FOIL_PROGRAM + std::string("\0train\0long.toml\0", 17));
  const std::string variables = of_proc("environ");
  EXPECT_NE(variables.find(std::string("\0GOMP_SPINCOUNT=", 16)), std::string::npos);
  EXPECT_EQ(signalled(pid, SIGINT).code, 130);
  const nlohmann::json env = read_json(run_ / "env.json");
  EXPECT_EQ(env["barriers"], "GOMP_SPINCOUNT=20000");
  EXPECT_GE(env["usable_cores"], 1);
}

TEST_F(Manners, EveryVerbHasHelpAndTheProgramAVersion) {
  const std::string help = place_.foil({"--help"}).out;
  for (const std::string verb : {"train", "evaluate", "ablate", "compare", "config", "plugins", "describe"}) {
    EXPECT_NE(help.find("\n  " + verb + " "), std::string::npos) << verb;
    const Outcome outcome = place_.foil({verb, "--help"});
    EXPECT_EQ(outcome.code, 0) << verb;
    EXPECT_NE(outcome.out.find("Usage: "), std::string::npos) << verb;
    EXPECT_EQ(outcome.err, "") << verb;
  }
  const Outcome version = place_.foil({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_TRUE(std::regex_match(
      version.out,
      std::regex("foil [0-9.]+ \\(commit [0-9a-z]+\\), LibTorch [0-9.]+, (CUDA [0-9.]+|without CUDA)\n")))
      << version.out;
}

}  // namespace
