// SPDX-License-Identifier: BSD-3-Clause
// New run, resume, finished, refusal, restart; and who may work in the folder.
#include "run/run_folder.h"

#include "run/json.h"
#include "scratch_folder.h"

#include <atomic>
#include <regex>
#include <thread>

namespace foil {
namespace {

std::string this_host() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  return name;
}

class RunFolderTest : public ::testing::Test {
 protected:
  std::string path() const { return scratch_ / "runs/name/trial"; }
  RunFolder open(const std::string& toml = "a = 1\n", bool restart = false) {
    return RunFolder::open(path(), toml,
                           {restart, [this](const std::string&, const std::string&) { return differences_; },
                            [this](const std::string& text) { said_.push_back(text); }});
  }
  // What makes a run of the folder.
  void add_checkpoint() const {
    std::filesystem::create_directories(path() + "/checkpoints");
    write_plainly(path() + "/checkpoints/step-00000017.json", "{}");
  }
  ScratchFolder scratch_;
  std::vector<std::string> said_;
  Differences differences_{{"loss.temperature", "run.epochs"}, {}};
};

TEST_F(RunFolderTest, ANewRunIsWrittenDownAndUnlockedAtItsEnd) {
  {
    const RunFolder run = open();
    EXPECT_FALSE(run.already_finished());
    EXPECT_FALSE(run.resumes());
    EXPECT_EQ(read_file(run.file("config.resolved.toml")), "a = 1\n");
    EXPECT_EQ(parse_json(read_file(run.file("lock")), "lock")["pid"], ::getpid());
    EXPECT_EQ(read_status(path())->state, RunState::running);
    EXPECT_EQ(run.path(), path());
  }
  EXPECT_FALSE(std::filesystem::exists(path() + "/lock"));
  EXPECT_TRUE(said_.empty());
}

TEST_F(RunFolderTest, AnUnfinishedRunResumesAtItsStep) {
  for (const RunState state : {RunState::running, RunState::failed, RunState::interrupted, RunState::again}) {
    open().set_status(state, 17, "why");
    add_checkpoint();
    const RunFolder run = open();
    EXPECT_TRUE(run.resumes()) << to_string(state);
    EXPECT_EQ(run.found()->state, state);
    EXPECT_EQ(run.found()->reason, "why");
    EXPECT_EQ(read_status(path())->state, RunState::running);
    EXPECT_EQ(read_status(path())->step, 17);
  }
}

TEST_F(RunFolderTest, AFinishedRunStaysFinished) {
  open().set_status(RunState::finished, 40);
  write_plainly(path() + "/results.json", "{}");
  const RunFolder run = open();
  EXPECT_TRUE(run.already_finished());
  EXPECT_FALSE(run.resumes());
  EXPECT_EQ(read_status(path())->state, RunState::finished);
}

TEST_F(RunFolderTest, AnotherExperimentIsRefusedListingTheKeys) {
  open().set_status(RunState::again, 3);
  add_checkpoint();
  EXPECT_EQ(error_of([&] { open("a = 2\n"); }),
            "2 " + path() +
                ": holds a run of another experiment, which differs in loss.temperature, run.epochs. Choose "
                "another run.name, or "
                "--restart to keep the old folder aside and begin anew.");
  EXPECT_FALSE(std::filesystem::exists(path() + "/lock"));
  EXPECT_EQ(read_status(path())->state, RunState::again);
}

TEST_F(RunFolderTest, ATextThatDiffersInNoKeyIsTheSameExperiment) {
  open();
  add_checkpoint();
  const auto none = [](const std::string&, const std::string&) { return Differences(); };
  EXPECT_TRUE(RunFolder::open(path(), "a = 1  # a comment\n", {false, none, {}}).resumes());
  EXPECT_TRUE(error_of([&] {
                RunFolder::open(path(), "a = 3\n", {});
              }).starts_with("2 " + path() + ": holds a run of another experiment. Choose"));
}

TEST_F(RunFolderTest, ARunThatMayNotGoOnKeepsItsStatusAndANewOneIsNotAsked) {
  RunFolder::OpenOptions options;
  options.check = [](const std::string& folder) { fail(Exit::usage, folder, ": no"); };
  RunFolder::open(path(), "a = 1\n", options).set_status(RunState::again, 3);
  add_checkpoint();
  EXPECT_EQ(error_of([&] { RunFolder::open(path(), "a = 1\n", options); }), "2 " + path() + ": no");
  EXPECT_EQ(read_status(path())->state, RunState::again);
  options.restart = true;
  EXPECT_FALSE(RunFolder::open(path(), "a = 1\n", options).resumes());
}

TEST_F(RunFolderTest, WithoutACheckpointThereIsNoRunWhateverAnAttemptLeft) {
  open().set_status(RunState::failed, 3, "why");
  {
    const RunFolder run = open("a = 2\n");
    EXPECT_FALSE(run.resumes() || run.already_finished());
    EXPECT_EQ(read_file(run.file("config.resolved.toml")), "a = 2\n");
    EXPECT_EQ(read_status(path())->state, RunState::running);
    EXPECT_EQ(read_status(path())->reason, "");
    EXPECT_EQ(read_status(path())->step, 0);
  }
  write_plainly(path() + "/status", "damaged");
  open("a = 3\n");
  EXPECT_EQ(read_status(path())->state, RunState::running);
}

TEST_F(RunFolderTest, ARefusalIsNotedWhereAnAttemptLeftItsReasonAndNoRun) {
  note_refusal(path(), "new");
  EXPECT_FALSE(std::filesystem::exists(path()));
  open().set_status(RunState::failed, 3, "old");
  note_refusal(path(), "new");
  EXPECT_EQ(read_status(path())->reason, "new");
  {
    const RunFolder run = open();
    note_refusal(path(), "newer");
    EXPECT_EQ(read_status(path())->state, RunState::running) << "another process works there";
    run.set_status(RunState::failed, 17, "of the run");
  }
  add_checkpoint();
  note_refusal(path(), "newest");
  EXPECT_EQ(read_status(path())->reason, "of the run");
}

TEST_F(RunFolderTest, WhatDiffersInTheRestGoesOnAndKeepsTheOldExperiment) {
  open().set_status(RunState::finished, 17);
  add_checkpoint();
  differences_ = {{}, {"run.steps: 17 -> 20"}};
  const RunFolder run = open("a = 2\n");
  EXPECT_FALSE(run.already_finished());
  EXPECT_TRUE(run.resumes());
  EXPECT_EQ(read_status(path())->state, RunState::running);
  EXPECT_EQ(said_, std::vector<std::string>{path() + ": goes on with run.steps: 17 -> 20"});
  EXPECT_EQ(read_file(run.file("config.resolved.toml")), "a = 2\n");
  EXPECT_EQ(read_file(run.file("config.until-step-00000017.toml")), "a = 1\n");
}

TEST_F(RunFolderTest, AReasonThatIsNotUtf8IsKeptEscaped) {
  const RunFolder run = open();
  run.set_status(RunState::failed, 0, "caf\xe9.png: broken \x1b[31m");
  EXPECT_EQ(read_status(path())->reason, "caf\\xe9.png: broken \\x1b[31m");
  run.write_env({{"host", "caf\xe9"}});
  EXPECT_EQ(parse_json(read_file(run.file("env.json")), "env").size(), 1u);
}

TEST_F(RunFolderTest, RestartKeepsEveryOldFolderAside) {
  open().set_status(RunState::finished, 9);
  {
    const RunFolder run = open("a = 2\n", true);
    EXPECT_FALSE(run.resumes() || run.already_finished());
  }
  { const RunFolder run = open("a = 3\n", true); }
  EXPECT_EQ(read_file(path() + "/config.resolved.toml"), "a = 3\n");
  EXPECT_FALSE(std::filesystem::exists(path() + "/lock"));
  ASSERT_EQ(said_.size(), 2u);
  std::vector<std::string> contents;
  for (const std::string& text : said_) {
    std::smatch match;
    ASSERT_TRUE(std::regex_match(
        text, match, std::regex("(.*): the old folder is kept as (.*/trial\\.old-\\d{8}T\\d{6}Z(-2)?)")))
        << text;
    EXPECT_EQ(match[1], path());
    contents.push_back(read_file(match[2].str() + "/config.resolved.toml"));
    EXPECT_FALSE(std::filesystem::exists(match[2].str() + "/lock"));
  }
  EXPECT_EQ(contents, (std::vector<std::string>{"a = 1\n", "a = 2\n"}));
}

TEST_F(RunFolderTest, RestartHoldsTheNewLock) {
  open();
  const RunFolder run = open("a = 2\n", true);
  EXPECT_TRUE(
      error_of([&] { open("a = 2\n"); }).starts_with("1 " + path() + ": another run is working here"));
}

TEST_F(RunFolderTest, ATrailingSlashIsTheSameFolder) {
  {
    const RunFolder run = RunFolder::open(path() + "//", "a = 1\n", {});
    EXPECT_EQ(run.path(), path());
  }
  add_checkpoint();
  EXPECT_TRUE(open().resumes());
}

TEST_F(RunFolderTest, ALiveRunIsNamedByHostAndProcess) {
  const RunFolder run = open();
  const std::string message = "1 " + path() + ": another run is working here: process " +
                              std::to_string(::getpid()) + " on host " + this_host();
  EXPECT_EQ(error_of([&] { open(); }), message);
  EXPECT_EQ(exit_code_of_child([&] { return error_of([&] { open(); }) == message ? 0 : 1; }), 0);
  EXPECT_TRUE(std::filesystem::exists(path() + "/lock")) << "a child must not remove its parent's lock";
}

TEST_F(RunFolderTest, AForkedChildLeavesItsParentsLock) {
  auto run = std::make_unique<RunFolder>(open());
  EXPECT_EQ(exit_code_of_child([&] {
              run.reset();
              return 0;
            }),
            0);
  EXPECT_TRUE(std::filesystem::exists(path() + "/lock"));
}

TEST_F(RunFolderTest, TheLockOfAKilledProcessIsTakenOverAndSaid) {
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

TEST_F(RunFolderTest, ARecycledPidIsNotTheHolder) {
  open();
  write_plainly(path() + "/lock", record());
  open();
  EXPECT_EQ(said_.size(), 1u);
}

TEST_F(RunFolderTest, ALiveRunHoldsItsLockWhateverTheRecordSays) {
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

TEST_F(RunFolderTest, ADeadContainerOfThisMachineIsReplacedAtOnce) {
  open();
  write_plainly(path() + "/lock", record({{"host", "c0ffee"}, {"pids", "pid:[1]"}, {"pid", ::getpid()}}));
  open();
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_EQ(said_[0], path() + ": took over the lock of process " + std::to_string(::getpid()) +
                          " on host c0ffee, which is dead");
}

TEST_F(RunFolderTest, AnotherMachineThatIsSilentIsReplacedAndSaid) {
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

TEST_F(RunFolderTest, AnotherMachineThatWasSilentForLongIsReplacedAtOnce) {
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

TEST_F(RunFolderTest, AnotherMachineThatLivesIsNamed) {
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
                ": another run is working here: process 12 on host elsewhere.example, which has just "
                "given a sign of life");
  dead = true;
  heart.join();
}

TEST_F(RunFolderTest, ALiveRunGivesSignsOfLife) {
  std::filesystem::create_directories(path());
  const std::string file = path() + "/lock";
  const RunLock lock(file, {}, {std::chrono::milliseconds(10), std::chrono::seconds(60)});
  std::filesystem::last_write_time(file,
                                   std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
  const auto old = std::filesystem::last_write_time(file) + std::chrono::minutes(30);
  while (std::filesystem::last_write_time(file) < old)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // or hangs
}

TEST_F(RunFolderTest, ARunWhoseLockBecameAnothersStops) {
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

TEST_F(RunFolderTest, ALockCutShortIsNobodys) {
  open();
  add_checkpoint();
  for (const char* text : {"", "{\"host\":\"els", "[]", "{\"host\":1,\"pid\":1,\"start\":\"\"}"}) {
    write_plainly(path() + "/lock", text);
    EXPECT_TRUE(open().resumes()) << text;
  }
}

TEST_F(RunFolderTest, OfManyAtOnceOneTakesADeadLock) {
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

TEST_F(RunFolderTest, StatusAndEnvironmentReadBack) {
  const RunFolder run = open();
  run.write_env({{"world_size", 3}, {"torch", "2.11.0"}});
  EXPECT_EQ(nlohmann::json::parse(read_file(run.file("env.json"))),
            (nlohmann::json{{"world_size", 3}, {"torch", "2.11.0"}}));
  run.set_status(RunState::failed, 12, "loss is nan at step 12");
  const Status status = read_status(path()).value();
  EXPECT_EQ(status.state, RunState::failed);
  EXPECT_EQ(status.step, 12);
  EXPECT_EQ(status.reason, "loss is nan at step 12");
  EXPECT_TRUE(std::regex_match(status.utc, std::regex("\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ")));
  EXPECT_EQ(to_string(status.state), "failed");
}

TEST_F(RunFolderTest, ADamagedStatusIsNamed) {
  EXPECT_FALSE(read_status(scratch_.path()).has_value());
  write_plainly(scratch_ / "status", R"({"state":"dreaming","step":1,"utc":"","reason":""})");
  EXPECT_EQ(error_of([&] { read_status(scratch_.path()); }),
            "5 " + (scratch_ / "status") +
                ": unknown state \"dreaming\". Known states: running, finished, failed, interrupted, again.");
  write_plainly(scratch_ / "status", R"({"state":"failed","step":1.5,"utc":"","reason":""})");
  EXPECT_EQ(error_of([&] { read_status(scratch_.path()); }),
            "5 " + (scratch_ / "status") + ": step 1.5, allowed: an integer");
  write_plainly(scratch_ / "status", "{}");
  EXPECT_TRUE(error_of([&] {
                read_status(scratch_.path());
              }).starts_with("5 " + (scratch_ / "status") + ": not a status: key "));
}

TEST_F(RunFolderTest, AFileInTheWayIsNamed) {
  write_plainly(scratch_ / "runs", "a file");
  EXPECT_EQ(error_of([&] { open(); }), "1 " + path() + ": cannot create the folder: Not a directory");
}

}  // namespace
}  // namespace foil
