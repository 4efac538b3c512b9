// SPDX-License-Identifier: BSD-3-Clause
// A run that is interrupted, asked to be run again, or killed, and how it goes on.
#include "manners.h"

#include <signal.h>

#include <filesystem>

namespace {

using Stopping = Manners;

TEST_F(Stopping, CtrlCEndsTheStepAndTheCommandThatItPrintsGoesOnToTheSameEnd) {
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

TEST_F(Stopping, CtrlCEndsTheEvaluationAtItsNextChunkAndTheSameCommandMakesIt) {
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

TEST_F(Stopping, ASecondCtrlCStopsAtOnce) {
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

TEST_F(Stopping, SigtermAndSigusr1AskToBeRunAgainAndTheEndIsTheSame) {
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

TEST_F(Stopping, RanksGetTheSignalsAndAgreeOnTheStep) {
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

TEST_F(Stopping, TheCodeOfTheFailingRankIsReturnedAndItsReasonToldOnce) {
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

TEST_F(Stopping, ALauncherThatIsKilledLeavesNoOrphan) {
  const pid_t pid = start_long(3, {"--nproc", "2", "--set", "run.steps=100000"});
  EXPECT_EQ(processes_in(place_.folder).size(), 3u);
  EXPECT_EQ(signalled(pid, SIGKILL).code, 128 + SIGKILL);
  EXPECT_TRUE(Workplace::eventually([&] { return processes_in(place_.folder).empty(); }));
}

TEST_F(Stopping, ARunningRunKeepsItsFolderAndADeadOneLosesIt) {
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

}  // namespace
