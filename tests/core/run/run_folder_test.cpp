// SPDX-License-Identifier: BSD-3-Clause
// New run, resume, finished, refusal, restart.
#include "run_folder_test.h"

#include "run/json.h"

#include <regex>

namespace foil {
namespace {

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
                ": holds a run of another experiment, which differs in loss.temperature, run.epochs. "
                "Choose another run.name, or --restart to keep the old folder aside and begin anew.");
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
