// SPDX-License-Identifier: BSD-3-Clause
// How the program behaves around a run: begun again, restarted, on which stream, from which folder.
#include "manners.h"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <map>
#include <regex>

namespace {

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

TEST_F(Manners, ARunLeavesAPictureOfTheFeaturesThatItMeasures) {
  ASSERT_EQ(place_.foil({"train", "e.toml"}).code, 0);
  EXPECT_NE(slurp(run_ / "features.svg").find(">synthetic: 101 samples (test) by class<"), std::string::npos);
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
            "RUN: holds a run of another experiment, which differs in loss.temperature: "
            "0.2 -> 0.5, optimizer.learning_rate: 0.05 -> 0.1. "
            "Choose another run.name, or --restart to keep the old folder aside and begin anew.\n");
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
  for (const std::string verb :
       {"train", "evaluate", "ablate", "compare", "runs", "export", "config", "plugins", "describe"}) {
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
