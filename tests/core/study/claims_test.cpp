// SPDX-License-Identifier: BSD-3-Clause
// Claims of trials, by this process, by others that die, and by machines that cannot be asked.
#include "study/claims.h"

#include "folder.h"

#include <foil/error.h>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

using foil::Claims;
using foil_test::Folder;
using State = foil::Claims::State;

namespace fs = std::filesystem;

namespace {

// A process of another machine, as a claim names it.
foil::Holder elsewhere() {
  foil::Holder holder = foil::this_process();
  holder.host = "elsewhere.example";
  holder.boot = "another-boot";
  return holder;
}

// The exit code of a child that does this.
template <class Action>
int code_of_child(const Action& action) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(action());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

TEST(Claims, ATrialIsTakenOnceAndSaysHowItWent) {
  const Folder study;
  Claims one(study.path()), other(study.path());
  const Claims::Look before = other.look("dcl-seed0");
  EXPECT_EQ(before.state, State::open);
  EXPECT_EQ(before.attempts, 0);
  EXPECT_TRUE(one.take("dcl-seed0", one.look("dcl-seed0")));
  EXPECT_FALSE(other.take("dcl-seed0", before));
  EXPECT_EQ(other.look("dcl-seed0").state, State::taken);
  EXPECT_EQ(other.look("dcl-seed1").state, State::open);
  one.end("dcl-seed0", State::open, "c0", "stopped");
  EXPECT_EQ(other.look("dcl-seed0").state, State::open);
  EXPECT_TRUE(other.take("dcl-seed0", other.look("dcl-seed0")));
  other.end("dcl-seed0", State::failed, "c1", "loss is nan");
  const Claims::Look failed = one.look("dcl-seed0");
  EXPECT_EQ(failed.state, State::failed);
  EXPECT_EQ(failed.attempts, 2);
  EXPECT_EQ(failed.reason, "loss is nan");
  EXPECT_EQ(failed.config, "c1");
  EXPECT_TRUE(one.take("dcl-seed0", failed));
  one.end("dcl-seed0", State::complete, "c1");
  EXPECT_EQ(other.look("dcl-seed0").state, State::complete);
  EXPECT_GE(other.look("dcl-seed0").seconds, failed.seconds);
}

TEST(Claims, OfManyProcessesAtTheSameMomentOneIsFirst) {
  const Folder study;
  for (int round = 0; round < 20; ++round) {
    const std::string trial = "trial" + std::to_string(round);
    int start[2];
    ASSERT_EQ(::pipe(start), 0);
    std::vector<pid_t> racers;
    for (int i = 0; i < 8; ++i) {
      racers.push_back(::fork());
      if (racers.back() != 0) continue;
      ::close(start[1]);
      Claims claims(study.path());
      char none;
      while (::read(start[0], &none, 1) > 0) {
      }
      ::_exit(claims.take(trial, {}) ? 1 : 0);  // as all of them have seen it
    }
    ::close(start[0]);
    ::close(start[1]);  // all go
    int winners = 0;
    for (const pid_t racer : racers) {
      int status = 0;
      ::waitpid(racer, &status, 0);
      winners += WEXITSTATUS(status);
    }
    EXPECT_EQ(winners, 1) << trial;
  }
}

TEST(Claims, TheTrialOfADeadProcessIsOpen) {
  const Folder study;
  EXPECT_EQ(code_of_child([&] {
              Claims claims(study.path());
              if (!claims.take("a", claims.look("a"))) return 1;
              ::raise(SIGKILL);
              return 0;
            }),
            128 + SIGKILL);
  Claims claims(study.path());
  EXPECT_EQ(claims.look("a").state, State::open);
  EXPECT_EQ(claims.look("a").attempts, 1);
  EXPECT_TRUE(claims.take("a", claims.look("a")));
}

TEST(Claims, AMachineThatCannotBeAskedLivesAsLongAsItGivesSigns) {
  const Folder study;
  study.write("claims/a/1", record_of(elsewhere()));
  Claims claims(study.path(), {std::chrono::seconds(5), std::chrono::hours(12)});
  EXPECT_EQ(claims.look("a").state, State::taken);
  const foil::Claims::Pace pace{std::chrono::seconds(5), std::chrono::hours(12)};
  EXPECT_EQ(Claims::worker_in(study.path(), pace).host, "elsewhere.example");
  fs::last_write_time(study.at("claims/a/1"), fs::file_time_type::clock::now() - std::chrono::hours(24));
  EXPECT_EQ(claims.look("a").state, State::open);
  EXPECT_EQ(Claims::worker_in(study.path(), pace).process, 0);
}

TEST(Claims, SignsAreGivenWhileATrialIsTaken) {
  const Folder study;
  Claims claims(study.path(), {std::chrono::milliseconds(10), std::chrono::seconds(60)});
  ASSERT_TRUE(claims.take("a", claims.look("a")));
  const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours(24);
  fs::last_write_time(study.at("claims/a/1"), long_ago);
  while (fs::last_write_time(study.at("claims/a/1")) == long_ago)  // ctest ends a hang
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

TEST(Claims, AProcessThatWasTakenForDeadEndsAtOnce) {
  const Folder study;
  EXPECT_EQ(code_of_child([&] {
              Claims claims(study.path(), {std::chrono::milliseconds(10), std::chrono::seconds(60)});
              claims.take("a", claims.look("a"));
              study.write("claims/a/2", record_of(elsewhere()));
              for (;;) ::pause();
              return 0;
            }),
            static_cast<int>(foil::Exit::failure));
}

TEST(Claims, AnEndThatIsDamagedIsRefused) {
  const Folder study;
  const Claims claims(study.path());
  study.write("claims/a/1", record_of(elsewhere()));
  for (const std::string text : {"", "[]", R"({"state": "complete"})"}) {
    study.write("claims/a/1.ended", text);
    const std::string error = foil_test::error_of<foil::Error>([&] { claims.look("a"); });
    EXPECT_EQ(error.find("5: " + study.at("claims/a/1.ended")), 0u) << error;
  }
}

TEST(Claims, WorkerInNamesWhoWorksOnAStudy) {
  const Folder study;
  EXPECT_EQ(Claims::worker_in(study.path()).process, 0);
  Claims claims(study.path());
  ASSERT_TRUE(claims.take("a", claims.look("a")));
  EXPECT_EQ(Claims::worker_in(study.path()).process, ::getpid());
  claims.end("a", State::complete, "");
  EXPECT_EQ(Claims::worker_in(study.path()).process, 0);
}
