// SPDX-License-Identifier: BSD-3-Clause
// The ranks that foil starts itself, as real processes.
#include "processes.h"

namespace foil::test {
namespace {

Process start_parent(const std::string& scene, const std::string& grace_ms = "300000",
                     const std::string& nproc = "3", const std::string& patience_ms = "600000") {
  return start({"--parent", grace_ms, scene, nproc, patience_ms, "--nproc", nproc});
}

// The processes that said "ready PID".
std::vector<pid_t> ready(const Process& process) {
  std::vector<pid_t> ranks;
  std::istringstream words(process.read());
  for (std::string word; words >> word;) {
    if (word == "ready") words >> word, ranks.push_back(std::stoi(word));
  }
  return ranks;
}

bool alive(pid_t process) {
  std::ifstream stat("/proc/" + std::to_string(process) + "/stat");
  std::string line;
  return std::getline(stat, line) && line.substr(line.rfind(')') + 2, 1) != "Z";
}

TEST(Spawn, TrainsAndReturnsZero) {
  const Process parent = start_parent("trains");
  EXPECT_EQ(parent.wait(), 0);
  EXPECT_EQ(parent.read(), "trained 3\n") << "nothing else is printed";
}

TEST(Spawn, OneRankFailingInBackwardEndsAllWithOneMessage) {
  const Process parent = start_parent("fails_in_backward");
  EXPECT_EQ(parent.wait(), 4);
  EXPECT_EQ(parent.read(), "foil: rank 1: no gradient today\n");
}

TEST(Spawn, AnAgreedErrorIsPrintedOnce) {
  const Process parent = start_parent("nan_on_rank_2");
  EXPECT_EQ(parent.wait(), 4);
  EXPECT_EQ(parent.read(), "foil: rank 2: step 7: the loss is nan\n");
}

TEST(Spawn, NamesTheRankThatWasKilled) {
  const Process parent = start_parent("killed");
  EXPECT_EQ(parent.wait(), 128 + SIGKILL);
  EXPECT_EQ(parent.read(), "foil: rank 2: killed by signal 9 (Killed).\n");
}

TEST(Spawn, ARankThatFailsAloneSpeaksForItself) {
  const Process parent = start_parent("fails_alone", "500");
  EXPECT_EQ(parent.wait(), 5);
  EXPECT_EQ(parent.read(), "foil: rank 1: alone\n");
}

TEST(Spawn, NamesTheLateRank) {
  const Process parent = start_parent("late", "5000");
  EXPECT_EQ(parent.wait(), 1);
  EXPECT_EQ(parent.read(), "foil: barrier: rank 2 did not come within 15 s, the other ranks wait.\n");
}

TEST(Spawn, ALongWaitNamesWhoIsLateAndWhoDoesNotEvenAnswer) {
  const Process parent = start_parent("stopped", "500");
  EXPECT_EQ(parent.wait(), 1);
  EXPECT_NE(parent.read().find("waiting in barrier for ranks 1 and 2 (rank 1 without an answer), "),
            std::string::npos)
      << parent.read();
  EXPECT_NE(parent.read().find(" s of at most 60\n"), std::string::npos) << parent.read();
  EXPECT_NE(parent.read().find("foil: rank 1 ended or cannot be reached.\n"), std::string::npos)
      << parent.read();
}

TEST(Spawn, ARankThatDoesNotEndIsNamedAndEndedByForce) {
  const Process parent = start_parent("never_ends", "100", "3", "5000");
  EXPECT_EQ(parent.wait(), 1);
  EXPECT_NE(parent.read().find("foil: rank 1 did not end within "), std::string::npos) << parent.read();
  EXPECT_NE(parent.read().find(" s of the end of the run: ended by force.\n"), std::string::npos)
      << parent.read();
}

TEST(Spawn, WhereNoRankEndsAllAreNamedToo) {
  const Process parent = start_parent("none_ends", "100", "3", "1500");
  EXPECT_EQ(parent.wait(), 1);
  EXPECT_NE(parent.read().find("foil: ranks 0, 1 and 2 did not end within "), std::string::npos)
      << parent.read();
}

TEST(Spawn, AWaitThatEveryRankIsInIsSpokenOf) {
  const Process ranks = start({"--rank", "stuck"});
  ranks.wait_for("waiting in gather, which every rank is in, ", 1);
  kill(ranks.id, SIGKILL);
  ranks.wait();
}

TEST(Spawn, WhoClosesAGroupThatIsNotDoneSaysSo) {
  const Process parent = start_parent("leaves_work", "100", "2");
  parent.wait_for("waiting in closing the connections for rank 1 (rank 1 without an answer), ", 1);
  parent.wait_for("foil: ranks 0 and 1 did not end within ", 1);
  kill(parent.id, SIGUSR1);
  EXPECT_EQ(parent.wait(), 0) << parent.read();
}

TEST(Spawn, NamesTheRankThatNeverComes) {
  const Process parent = start_parent("never_comes", "5000");
  EXPECT_EQ(parent.wait(), 1);
  EXPECT_NE(parent.read().find("foil: rank 2 of 3 did not come to the store of the ranks within 15 s"),
            std::string::npos)
      << parent.read();
}

TEST(Spawn, KillsARankThatIgnoresSigtermAndReturnsTheCodeOfTheFirst) {
  EXPECT_EQ(start_parent("stubborn", "300").wait(), 5);
}

TEST(Spawn, ForwardsSignalsOnceAndWaitsForRanksThatStopByAgreement) {
  const Process parent = start_parent("waits", "1");  // a failure would get SIGKILL after 2 ms
  parent.wait_for("ready", 3);
  EXPECT_EQ(parent.count(" 2/3\n"), 1u) << parent.read();
  for (int signal : {SIGUSR1, SIGINT, SIGTERM}) {
    kill(parent.id, signal);
    parent.wait_for("signal " + std::to_string(signal) + ".", 3);
  }
  EXPECT_EQ(parent.wait(), 75);
  EXPECT_EQ(parent.count("signal "), 9u) << parent.read();
  EXPECT_EQ(parent.count("end"), 3u) << parent.read();
}

TEST(Spawn, AStopThatCameBeforeTheRanksCouldTakeItIsNoFailure) {
  for (const auto& [signal, code] : {std::pair(SIGTERM, 75), {SIGUSR1, 75}, {SIGINT, 130}}) {
    const Process parent = start_parent("unprepared");
    parent.wait_for("ready", 3);
    kill(parent.id, signal);
    EXPECT_EQ(parent.wait(), code);
    EXPECT_EQ(parent.read(), "ready\nready\nready\n");
  }
}

TEST(Spawn, LeavesNoOrphan) {
  const Process parent = start_parent("waits");
  parent.wait_for("ready", 3);
  const std::vector<pid_t> ranks = ready(parent);
  ASSERT_EQ(ranks.size(), 3u);
  for (pid_t rank : ranks) EXPECT_TRUE(alive(rank));
  kill(parent.id, SIGKILL);
  EXPECT_EQ(parent.wait(), 128 + SIGKILL);
  for (pid_t rank : ranks) {
    while (alive(rank)) std::this_thread::sleep_for(10ms);  // an orphan hangs here
  }
}

TEST(Spawn, ListensOnTheLoopbackInterfaceOnlyAndGarbageChangesNothing) {
  const Process parent = start_parent("stays");
  parent.wait_for("ready", 3);
  EXPECT_EQ(listening(parent.id), std::vector<std::string>{}) << "the parent, who keeps the store";
  for (const pid_t rank : ready(parent)) {
    for (const std::string& place : listening(rank)) {
      EXPECT_TRUE(place.starts_with("0100007F:")) << place;
      for (const std::string& words : garbage()) say_to(port_of(place), words);
    }
  }
  kill(parent.id, SIGUSR1);
  EXPECT_EQ(parent.wait(), 0) << parent.read();
  EXPECT_EQ(parent.count("trained"), 3u) << parent.read();
}

TEST(Spawn, OneRankListensNowhere) {
  const Process parent = start_parent("stays", "300000", "1");
  parent.wait_for("ready", 1);
  const std::vector<pid_t> ranks = ready(parent);
  ASSERT_EQ(ranks.size(), 1u);
  EXPECT_EQ(listening(parent.id), std::vector<std::string>{});
  EXPECT_EQ(listening(ranks[0]), std::vector<std::string>{});
  kill(parent.id, SIGUSR1);
  EXPECT_EQ(parent.wait(), 0) << parent.read();
}

}  // namespace
}  // namespace foil::test
