// SPDX-License-Identifier: BSD-3-Clause
// Signals as requests.
#include "run/signals.h"

#include "run_test.h"

namespace foil {
namespace {

TEST(SignalScope, NothingIsRequestedAtFirst) {
  {
    const SignalScope first;
    ::raise(SIGTERM);
    EXPECT_EQ(first.requested(), Stop::again);
  }
  const SignalScope second;
  EXPECT_EQ(second.requested(), Stop::none);
}

TEST(SignalScope, TermAndUsr1AskToRunAgainHoweverOften) {
  for (const int signal : {SIGTERM, SIGUSR1}) {
    const SignalScope scope;
    for (int i = 0; i < 3; ++i) ::raise(signal);
    EXPECT_EQ(scope.requested(), Stop::again);
  }
}

TEST(SignalScope, AnInterruptOutweighsInEitherOrder) {
  {
    const SignalScope scope;
    ::raise(SIGINT);
    ::raise(SIGTERM);
    EXPECT_EQ(scope.requested(), Stop::interrupt);
  }
  {
    const SignalScope scope;
    ::raise(SIGUSR1);
    ::raise(SIGINT);
    EXPECT_EQ(scope.requested(), Stop::interrupt);
  }
}

TEST(SignalScope, TheSecondInterruptExitsAtOnce) {
  EXPECT_EQ(exit_code_of_child([] {
              const SignalScope scope;
              ::raise(SIGINT);
              if (scope.requested() != Stop::interrupt) return 1;
              ::raise(SIGINT);
              return 2;
            }),
            130);
}

TEST(SignalScope, RestoresTheHandlersOfBefore) {
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) {
    EXPECT_EQ(exit_code_of_child([&] {
                { const SignalScope scope; }
                ::raise(signal);
                return 0;
              }),
              -signal);
  }
}

TEST(SignalScope, AReadGoesOnAcrossASignal) {
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const SignalScope scope;
  const pid_t parent = ::getpid(), child = ::fork();
  if (child == 0) {
    ::usleep(50'000);
    ::kill(parent, SIGTERM);
    ::usleep(50'000);
    ::_exit(::write(pipe[1], "x", 1) == 1 ? 0 : 1);
  }
  char byte = 0;
  EXPECT_EQ(::read(pipe[0], &byte, 1), 1);
  EXPECT_EQ(byte, 'x');
  EXPECT_EQ(scope.requested(), Stop::again);
  ::waitpid(child, nullptr, 0);
}

}  // namespace
}  // namespace foil
