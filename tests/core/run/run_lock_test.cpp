// SPDX-License-Identifier: BSD-3-Clause
// Who may work in a run's folder: one process, until it is dead.
#include "run/run_lock.h"

#include "run/json.h"
#include "run_folder_test.h"

#include <atomic>
#include <regex>
#include <thread>

namespace foil {
namespace {

using RunLockTest = RunFolderTest;

std::string this_host() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  return name;
}

TEST_F(RunLockTest, ALiveRunIsNamedByHostAndProcess) {
  const RunFolder run = open();
  const std::string message = "1 " + path() + ": another run is working here: process " +
                              std::to_string(::getpid()) + " on host " + this_host();
  EXPECT_EQ(error_of([&] { open(); }), message);
  EXPECT_EQ(exit_code_of_child([&] { return error_of([&] { open(); }) == message ? 0 : 1; }), 0);
  EXPECT_TRUE(std::filesystem::exists(path() + "/lock")) << "a child must not remove its parent's lock";
}

TEST_F(RunLockTest, AForkedChildLeavesItsParentsLock) {
  auto run = std::make_unique<RunFolder>(open());
  EXPECT_EQ(exit_code_of_child([&] {
              run.reset();
              return 0;
            }),
            0);
  EXPECT_TRUE(std::filesystem::exists(path() + "/lock"));
}

TEST_F(RunLockTest, TheLockOfAKilledProcessIsTakenOverAndSaid) {
  const pid_t child = ::fork();
  if (child == 0) {
    const RunFolder run = open();
    add_checkpoint();
    ::raise(SIGKILL);
  }
  siginfo_t ended;
  ::waitid(P_PID, static_cast<id_t>(child), &ended,
           WEXITED | WNOWAIT);  // dead, but still a zombie with a PID
  {
    const RunFolder run = open();
    EXPECT_TRUE(run.resumes());
  }
  ::waitpid(child, nullptr, 0);
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_EQ(said_[0],
            path() + ": took over the lock of process " + std::to_string(child) + ", which is dead");
}

// The record of a process of this machine, as the lock holds it: this one's, but that it began at another
// time, with `changes`.
std::string record(const nlohmann::json& changes = nlohmann::json::object()) {
  std::string boot = read_file("/proc/sys/kernel/random/boot_id");
  boot.pop_back();
  nlohmann::json lock = {{"host", this_host()},
                         {"pid", ::getpid()},
                         {"start", boot + " 1"},
                         {"pids", std::filesystem::read_symlink("/proc/self/ns/pid").string()}};
  lock.update(changes);
  return lock.dump();
}

TEST_F(RunLockTest, ARecycledPidIsNotTheHolder) {
  open();
  write_plainly(path() + "/lock", record());
  open();
  EXPECT_EQ(said_.size(), 1u);
}

TEST_F(RunLockTest, ALiveRunHoldsItsLockWhateverTheRecordSays) {
  open();
  const RunLock run(path() + "/lock", {},
                    {std::chrono::hours(1), std::chrono::seconds(60)});  // that does not look at it
  // Of nobody; of a dead process; of a container on this machine, of the same name; of another machine of
  // this name, long silent.
  const std::vector<std::string> records{"", record(), record({{"pids", "pid:[1]"}, {"pid", 1}}),
                                         record({{"start", "another-boot 1"}})};
  for (const std::string& text : records) {
    write_plainly(path() + "/lock", text);
    std::filesystem::last_write_time(path() + "/lock",
                                     std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
    EXPECT_TRUE(error_of([&] { open(); }).starts_with("1 " + path() + ": another run is working here: "))
        << text;
  }
}

TEST_F(RunLockTest, ADeadContainerOfThisMachineIsReplacedAtOnce) {
  open();
  write_plainly(path() + "/lock", record({{"host", "c0ffee"}, {"pids", "pid:[1]"}, {"pid", ::getpid()}}));
  open();
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_EQ(said_[0], path() + ": took over the lock of process " + std::to_string(::getpid()) +
                          " on host c0ffee, which is dead");
}

TEST_F(RunLockTest, AnotherMachineThatIsSilentIsReplacedAndSaid) {
  open();
  for (const std::string& host :
       {std::string("elsewhere.example"), this_host()}) {  // two machines may have one name
    said_.clear();
    write_plainly(path() + "/lock", record({{"host", host}, {"pid", 12}, {"start", "another-boot 1"}}));
    const RunLock lock(path() + "/lock", [this](const std::string& text) { said_.push_back(text); },
                       {std::chrono::seconds(5), std::chrono::milliseconds(700)});
    ASSERT_EQ(said_.size(), 2u);
    EXPECT_TRUE(std::regex_match(
        said_[0], std::regex(path() + ": locked by process 12 on host " + host +
                             ", which cannot be asked from here; its last sign of life was \\d+ s ago: "
                             "waiting 1 s for another")))
        << said_[0];
    EXPECT_EQ(said_[1], path() + ": took over the lock of process 12 on host " + host +
                            ", which has given no sign of life for 1 s");
  }
}

TEST_F(RunLockTest, AnotherMachineThatWasSilentForLongIsReplacedAtOnce) {
  open();
  write_plainly(path() + "/lock",
                record({{"host", "elsewhere.example"}, {"pid", 12}, {"start", "another-boot 1"}}));
  std::filesystem::last_write_time(path() + "/lock",
                                   std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
  open();
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_TRUE(said_[0].ends_with("on host elsewhere.example, which has given no sign of life for 60 s"))
      << said_[0];
}

TEST_F(RunLockTest, AnotherMachineThatLivesIsNamed) {
  open();
  write_plainly(path() + "/lock",
                record({{"host", "elsewhere.example"}, {"pid", 12}, {"start", "another-boot 1"}}));
  std::atomic<bool> dead = false;
  std::thread heart([&] {  // what the other machine's run does
    while (!dead) {
      std::filesystem::last_write_time(path() + "/lock", std::filesystem::file_time_type::clock::now());
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  });
  EXPECT_EQ(error_of([&] { open(); }),
            "1 " + path() +
                ": another run is working here: "
                "process 12 on host elsewhere.example, which has just given a sign of life");
  dead = true;
  heart.join();
}

TEST_F(RunLockTest, ALiveRunGivesSignsOfLife) {
  std::filesystem::create_directories(path());
  const std::string file = path() + "/lock";
  const RunLock lock(file, {}, {std::chrono::milliseconds(10), std::chrono::seconds(60)});
  std::filesystem::last_write_time(file,
                                   std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
  const auto old = std::filesystem::last_write_time(file) + std::chrono::minutes(30);
  while (std::filesystem::last_write_time(file) < old)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // or hangs
}

TEST_F(RunLockTest, ARunWhoseLockBecameAnothersStops) {
  std::filesystem::create_directories(path());
  const std::string file = path() + "/lock";
  EXPECT_EQ(exit_code_of_child([&] {
              const RunLock lock(file, {}, {std::chrono::milliseconds(10), std::chrono::seconds(60)});
              write_atomically(file, record({{"host", "elsewhere.example"}}) + "\n");
              ::pause();
              return 0;
            }),
            1);
}

TEST_F(RunLockTest, ALockCutShortIsNobodys) {
  open();
  add_checkpoint();
  for (const char* text : {"", "{\"host\":\"els", "[]", "{\"host\":1,\"pid\":1,\"start\":\"\"}"}) {
    write_plainly(path() + "/lock", text);
    EXPECT_TRUE(open().resumes()) << text;
  }
}

TEST_F(RunLockTest, OfManyAtOnceOneTakesADeadLock) {
  open();
  write_plainly(path() + "/lock", record());
  int winners[2], go[2];
  ASSERT_EQ(::pipe(winners) + ::pipe(go), 0);
  std::vector<pid_t> children;
  for (int i = 0; i < 12; ++i) {
    children.push_back(::fork());
    if (children.back() != 0) continue;
    char byte;
    ::close(go[1]);
    if (::read(go[0], &byte, 1) != 0) ::_exit(1);  // the closing of the other end starts all at once
    try {
      const RunLock lock(path() + "/lock", {});
      if (::write(winners[1], "w", 1) != 1) ::_exit(1);
      ::pause();
    } catch (const Error&) {
      if (::write(winners[1], "l", 1) != 1) ::_exit(1);
    }
    ::_exit(0);
  }
  ::close(go[1]);
  std::string answers;
  for (char answer; answers.size() < children.size() && ::read(winners[0], &answer, 1) == 1;)
    answers += answer;
  for (const pid_t child : children) {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
  EXPECT_EQ(std::count(answers.begin(), answers.end(), 'w'), 1) << answers;
  EXPECT_EQ(std::count(answers.begin(), answers.end(), 'l'), 11) << answers;
}

}  // namespace
}  // namespace foil
