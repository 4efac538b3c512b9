// SPDX-License-Identifier: BSD-3-Clause
// The trial store: states across reopening and kills, one writer, schema versions.
#include "study/store.h"

#include "folder.h"

#include <foil/error.h>

#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

using foil::PlannedTrial;
using foil::TrialState;
using foil::TrialStore;
using foil_test::error_of;
using foil_test::Folder;

namespace {

const std::vector<PlannedTrial> four = {{"infonce-seed0", "infonce", 0, "a0"},
                                        {"infonce-seed1", "infonce", 1, "a1"},
                                        {"dcl-seed0", "dcl", 0, "b0"},
                                        {"dcl-seed1", "dcl", 1, "b1"}};

void execute(const std::string& path, const std::string& sql) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
      << sqlite3_errmsg(database);
  sqlite3_close(database);
}

// Runs `work` in a child process that then says so and waits; returns its PID.
template <class Work>
pid_t child_after(const Work& work) {
  int ready[2];
  if (::pipe(ready) != 0) throw std::runtime_error("pipe");
  const pid_t child = ::fork();
  if (child == 0) {
    work();
    [[maybe_unused]] const auto written = ::write(ready[1], "x", 1);
    for (;;) ::pause();
  }
  ::close(ready[1]);
  char byte = 0;
  if (::read(ready[0], &byte, 1) != 1) throw std::runtime_error("the child died");
  ::close(ready[0]);
  return child;
}

void kill_9(pid_t child) {
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

}  // namespace

TEST(TrialStore, KeepsEveryStateAcrossReopening) {
  Folder folder;
  {
    TrialStore store(folder.path());
    store.plan(four);
    store.start("infonce-seed0");
    store.complete("infonce-seed0", R"({"protocol": "p"})");
    store.start("infonce-seed1");
    store.fail("infonce-seed1", "loss is nan at step 3");
    store.start("dcl-seed0");
    store.stop("dcl-seed0", "interrupted");
  }
  const auto trials = TrialStore(folder.path(), TrialStore::Access::read).trials();
  ASSERT_EQ(trials.size(), 4u);
  EXPECT_EQ(trials[0].name, "infonce-seed0");
  EXPECT_EQ(trials[0].variant, "infonce");
  EXPECT_EQ(trials[0].config, "a0");
  EXPECT_EQ(trials[0].state, TrialState::complete);
  EXPECT_EQ(trials[0].results, R"({"protocol": "p"})");
  EXPECT_EQ(trials[0].folder, folder.at("infonce-seed0"));
  EXPECT_EQ(trials[1].seed, 1);
  EXPECT_EQ(trials[1].state, TrialState::failed);
  EXPECT_EQ(trials[1].reason, "loss is nan at step 3");
  EXPECT_EQ(trials[2].state, TrialState::waiting);
  EXPECT_EQ(trials[2].reason, "interrupted");
  EXPECT_NE(trials[2].started, "");
  EXPECT_EQ(trials[2].finished, "");
  EXPECT_EQ(trials[3].state, TrialState::waiting);
  EXPECT_EQ(trials[3].started, "");
}

// A record that is damaged, or was written by another hand.
class DamagedStore : public ::testing::Test {
 protected:
  DamagedStore() {
    TrialStore store(folder_.path());
    store.plan(four);
  }
  // What reading says after this statement, with the path of the file left out.
  std::string said_after(const std::string& sql) const {
    execute(folder_.at("study.sqlite"),
            "PRAGMA ignore_check_constraints = 1; PRAGMA writable_schema = 1; " + sql);
    return said();
  }
  std::string said() const {
    std::string text =
        error_of<foil::Error>([&] { TrialStore(folder_.path(), TrialStore::Access::read).trials(); });
    const std::string place = folder_.at("study.sqlite") + ": ";
    if (const size_t at = text.find(place); at != std::string::npos) text.erase(at, place.size());
    return text;
  }
  Folder folder_;
};

TEST_F(DamagedStore, WithAnUnknownStateNamesTheTrialAndTheStates) {
  EXPECT_EQ(said_after("UPDATE trials SET state = 'dreaming' WHERE name = 'dcl-seed0'"),
            "5: trial 'dcl-seed0': unknown state 'dreaming'. Known states: waiting, running, complete, "
            "failed, pruned.");
  EXPECT_EQ(
      said_after("UPDATE trials SET state = '' WHERE name = 'dcl-seed0'"),
      "5: trial 'dcl-seed0': unknown state ''. Known states: waiting, running, complete, failed, pruned.");
}

TEST_F(DamagedStore, WithAnotherTypeOrNothingNamesTrialAndColumn) {
  // A table without the constraints of ours, as another program could have written it.
  const std::string loose =
      "CREATE TABLE loose AS SELECT * FROM trials; DROP TABLE trials; ALTER TABLE loose RENAME TO trials; ";
  EXPECT_EQ(said_after(loose + "UPDATE trials SET seed = 'many' WHERE name = 'infonce-seed1'"),
            "5: trial 'infonce-seed1': seed is a text, allowed: an integer");
  EXPECT_EQ(said_after("UPDATE trials SET seed = NULL WHERE name = 'infonce-seed1'"),
            "5: trial 'infonce-seed1': seed is nothing, allowed: an integer");
  EXPECT_EQ(said_after("UPDATE trials SET seed = 1, seconds = 'long' WHERE name = 'infonce-seed1'"),
            "5: trial 'infonce-seed1': seconds is a text, allowed: a number");
  EXPECT_EQ(said_after("UPDATE trials SET seconds = 1, state = NULL WHERE name = 'infonce-seed1'"),
            "5: trial 'infonce-seed1': state is nothing, allowed: a text");
  EXPECT_EQ(said_after("UPDATE trials SET state = 'failed', results = x'ff00' WHERE name = 'infonce-seed1'"),
            "5: trial 'infonce-seed1': results is bytes, allowed: a text");
  EXPECT_EQ(said_after("UPDATE trials SET name = NULL WHERE name = 'infonce-seed0'"),
            "5: trial 1: name is nothing, allowed: a text");
}

TEST_F(DamagedStore, WhoseTrialLiesOutsideTheStudyIsRefused) {
  for (const std::string path : {"..", "../../elsewhere", "/etc", "", "."}) {
    EXPECT_EQ(said_after("UPDATE trials SET folder = '" + path + "' WHERE name = 'dcl-seed1'"),
              "5: trial 'dcl-seed1': folder is '" + path + "', allowed: the name of a folder in the study's");
  }
}

TEST_F(DamagedStore, WithoutItsTableOrWithMoreThanTablesIsNoStudy) {
  EXPECT_EQ(said_after("CREATE TRIGGER harm AFTER UPDATE ON trials BEGIN DELETE FROM trials; END"),
            "5: has 'harm', which is nothing of a study of foil");
  EXPECT_EQ(said_after("DROP TRIGGER harm; ALTER TABLE trials RENAME COLUMN reason TO reasons"),
            "5: no such column: reason");
  EXPECT_EQ(said_after("DROP TABLE trials"), "5: not a study of foil");
  EXPECT_EQ(said_after("CREATE VIEW trials AS SELECT 1"),
            "5: has 'trials', which is nothing of a study of foil");
}

TEST_F(DamagedStore, CutShortOrNoDatabaseAtAllIsDamagedData) {
  const std::string whole = folder_.read("study.sqlite");
  ASSERT_GT(whole.size(), 4096u);
  for (const size_t size : {size_t{100}, size_t{2000}, size_t{4096}}) {
    folder_.write("study.sqlite", whole.substr(0, size));
    EXPECT_EQ(said().substr(0, 3), "5: ") << size << ": " << said();
  }
  folder_.write("study.sqlite",
                "a text that is longer than the hundred bytes of the header of a database of SQLite, but is "
                "none at all");
  EXPECT_EQ(said(), "5: file is not a database");
}

TEST(TrialStore, LetsACompleteTrialWaitAgain) {
  Folder folder;
  TrialStore store(folder.path());
  store.plan(four);
  store.start("dcl-seed0");
  store.complete("dcl-seed0", "{}");
  store.reopen("dcl-seed0");
  EXPECT_EQ(store.trials()[2].state, TrialState::waiting);
  auto changed = four;
  changed[2].config = "other";
  store.plan(changed);
  EXPECT_EQ(store.trials()[2].config, "other");
}

TEST(TrialStore, WritesTimesInUtc) {
  Folder folder;
  TrialStore store(folder.path());
  store.plan(four);
  ::setenv("TZ", "Asia/Tokyo", 1);
  ::tzset();
  const time_t before = ::time(nullptr);
  store.start("dcl-seed1");
  store.complete("dcl-seed1", "{}");
  const time_t after = ::time(nullptr);
  const auto seconds = [](const std::string& text) {
    std::tm parts{};
    EXPECT_EQ(*::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts), '\0') << text;
    return ::timegm(&parts);
  };
  const auto trial = store.trials()[3];
  EXPECT_GE(seconds(trial.started), before);
  EXPECT_LE(seconds(trial.finished), after);
  EXPECT_EQ(trial.heartbeat, trial.finished);
}

TEST(TrialStore, LeavesAKilledTrialRunningAndItsStudyFree) {
  Folder folder;
  const pid_t child = child_after([&] {
    static TrialStore store(folder.path());
    store.plan(four);
    store.start("infonce-seed1");
  });
  EXPECT_TRUE(TrialStore::is_being_written(folder.path()));
  kill_9(child);
  EXPECT_FALSE(TrialStore::is_being_written(folder.path()));
  TrialStore store(folder.path());
  const auto trials = store.trials();
  EXPECT_EQ(trials[0].state, TrialState::waiting);
  EXPECT_EQ(trials[1].state, TrialState::running);
  store.start("infonce-seed1");
  store.complete("infonce-seed1", "{}");
  EXPECT_EQ(store.trials()[1].state, TrialState::complete);
}

TEST(TrialStore, SurvivesAKillInTheMiddleOfItsWrites) {
  Folder folder;
  { TrialStore(folder.path()).plan(four); }
  for (int round = 0; round < 8; ++round) {
    const pid_t child = child_after([&] {
      static TrialStore store(folder.path());
      store.start("dcl-seed0");
      std::thread([] {
        for (;;) {
          store.fail("dcl-seed0", std::string(20'000, 'x'));
          store.start("dcl-seed0");
        }
      }).detach();
    });
    ::usleep(7'000 * round);
    kill_9(child);
    const auto trial = TrialStore(folder.path(), TrialStore::Access::read).trials()[2];
    EXPECT_TRUE(trial.state == TrialState::running || trial.state == TrialState::failed);
    EXPECT_EQ(trial.reason.size(), trial.state == TrialState::failed ? 20'000u : 0u);
  }
}

TEST(TrialStore, RefusesASecondWriterNamingTheFirst) {
  Folder folder;
  const pid_t child = child_after([&] { static TrialStore store(folder.path()); });
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  const auto open = [&] { TrialStore store(folder.path()); };
  EXPECT_EQ(error_of<foil::Error>(open), "1: " + folder.path() + ": this study is being written by PID " +
                                             std::to_string(child) + " on host " + host +
                                             ". Wait for it or end it.");
  EXPECT_EQ(TrialStore(folder.path(), TrialStore::Access::read).trials().size(), 0u);  // a reader is welcome
  kill_9(child);
  EXPECT_EQ(error_of<foil::Error>(open), "");
  const TrialStore first(folder.path());
  EXPECT_EQ(error_of<foil::Error>(open).substr(0, 3 + folder.path().size()),
            "1: " + folder.path());  // in one process too
}

TEST(TrialStore, RefusesANewerSchema) {
  Folder folder;
  { TrialStore store(folder.path()); }
  execute(folder.at("study.sqlite"), "PRAGMA user_version = 7");
  EXPECT_EQ(error_of<foil::Error>([&] { TrialStore store(folder.path()); }),
            "1: " + folder.at("study.sqlite") +
                ": schema version 7, this program knows versions up to 2. Use the foil that wrote it, or a "
                "newer one.");
  EXPECT_FALSE(TrialStore::is_being_written(folder.path()));  // the refusal gave the lock back
}

TEST(TrialStore, ReadsAStudyOfTheFirstSchemaAsItIsAndBringsItUpToDateWhenItGoesOn) {
  Folder folder;
  const std::string file = folder.at("study.sqlite");
  execute(file, R"(CREATE TABLE trials (
      name TEXT PRIMARY KEY, variant TEXT NOT NULL, seed INTEGER NOT NULL, config_hash TEXT NOT NULL, position INTEGER NOT NULL,
      state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'complete', 'failed')),
      reason TEXT NOT NULL DEFAULT '', started TEXT, finished TEXT, heartbeat TEXT, seconds REAL NOT NULL DEFAULT 0,
      results TEXT NOT NULL DEFAULT '', folder TEXT NOT NULL);
      INSERT INTO trials (name, variant, seed, config_hash, position, state, seconds, results, folder)
      VALUES ('infonce-seed0', 'infonce', 0, 'a0', 0, 'complete', 2.5, '{}', 'infonce-seed0');
      PRAGMA user_version = 1)");
  const auto expect_the_record = [&](const std::vector<foil::TrialRecord>& trials) {
    ASSERT_FALSE(trials.empty());
    EXPECT_EQ(trials[0].config, "a0");
    EXPECT_EQ(trials[0].state, TrialState::complete);
    EXPECT_EQ(trials[0].seconds, 2.5);
    EXPECT_EQ(trials[0].results, "{}");
  };
  for (int i = 0; i < 2; ++i)  // the first has changed nothing
    expect_the_record(TrialStore(folder.path(), TrialStore::Access::read).trials());
  {
    TrialStore store(folder.path());
    store.plan(four);
    store.start("dcl-seed0");
    store.prune("dcl-seed0", "kNN 12 at epoch 2");
    expect_the_record(store.trials());
  }
  const auto trials = TrialStore(folder.path(), TrialStore::Access::read).trials();
  expect_the_record(trials);
  EXPECT_EQ(trials[2].state, TrialState::pruned);
  EXPECT_EQ(trials[2].reason, "kNN 12 at epoch 2");
}

TEST(TrialStore, RefusesWhatIsNoStudy) {
  Folder folder;
  execute(folder.at("study.sqlite"), "CREATE TABLE other (x)");
  EXPECT_EQ(error_of<foil::Error>([&] { TrialStore store(folder.path()); }),
            "5: " + folder.at("study.sqlite") + ": not a study of foil");
  folder.write("study.sqlite", std::string(4096, 'x'));
  EXPECT_EQ(error_of<foil::Error>([&] { TrialStore store(folder.path()); }),
            "5: " + folder.at("study.sqlite") + ": file is not a database");
}

TEST(TrialStore, ReadingCreatesNothing) {
  Folder folder;
  EXPECT_EQ(error_of<foil::Error>([&] { TrialStore store(folder.at("none"), TrialStore::Access::read); }),
            "1: " + folder.at("none/study.sqlite") + ": unable to open database file");
  EXPECT_FALSE(std::filesystem::exists(folder.at("none")));
  EXPECT_FALSE(TrialStore::is_being_written(folder.at("none")));
}

TEST(TrialStore, RefusesToKeepResultsOfAnotherConfiguration) {
  Folder folder;
  TrialStore store(folder.path());
  store.plan(four);
  store.start("dcl-seed0");
  store.complete("dcl-seed0", "{}");
  auto changed = four;
  changed[2].config = "other";
  EXPECT_EQ(error_of<foil::Error>([&] { store.plan(changed); }),
            "2: " + folder.path() +
                ": trial 'dcl-seed0' is complete with another configuration. Give the study another name, or "
                "start it anew with "
                "--restart.");
  EXPECT_EQ(store.trials()[2].config, "b0");  // nothing of the refused plan stays
  changed = four;
  changed[3].config = "other";  // not complete: may change
  store.plan(changed);
  EXPECT_EQ(store.trials()[3].config, "other");
}

TEST(TrialStore, FollowsAChangedPlanAndForgetsOnlyUnfinishedTrials) {
  Folder folder;
  TrialStore store(folder.path());
  store.plan(four);
  store.start("infonce-seed0");
  store.complete("infonce-seed0", "{}");
  store.start("infonce-seed1");
  store.fail("infonce-seed1", "no");
  store.plan({{"supcon-seed0", "supcon", 0, "c0"}, four[3], four[2]});
  std::vector<std::string> names;
  for (const auto& trial : store.trials()) names.push_back(trial.name);
  EXPECT_EQ(names, (std::vector<std::string>{"supcon-seed0", "dcl-seed1", "dcl-seed0", "infonce-seed0"}));
}

TEST(TrialStore, RefusesTwoTrialsOfOneName) {
  Folder folder;
  TrialStore store(folder.path());
  EXPECT_EQ(error_of<foil::Error>([&] {
              store.plan({four[0], four[1], four[0]});
            }),
            "2: " + folder.path() + ": two trials are named 'infonce-seed0'");
  EXPECT_TRUE(store.trials().empty());
}

TEST(TrialStore, AddsUpTheSecondsOfAllAttempts) {
  Folder folder;
  const auto set_back = [&](const char* seconds, bool heartbeat_too) {
    const std::string earlier =
        std::string("strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-") + seconds + " seconds')";
    execute(folder.at("study.sqlite"), "UPDATE trials SET started = " + earlier +
                                           (heartbeat_too ? ", heartbeat = strftime('%Y-%m-%dT%H:%M:%SZ', " +
                                                                earlier + ", '+60 seconds')"
                                                          : std::string()));
  };
  const std::time_t began = std::time(nullptr);
  TrialStore store(folder.path());
  store.plan({four[0]});
  store.start("infonce-seed0");
  set_back("1000", false);
  store.stop("infonce-seed0", "interrupted");  // 1000 s
  store.start("infonce-seed0");
  set_back("5000", true);  // killed after 60 s of signs of life
  store.start("infonce-seed0");
  set_back("200", false);
  store.complete("infonce-seed0", "{}");
  const double seconds = store.trials()[0].seconds;
  EXPECT_GE(seconds, 1260 - 3) << "three attempts, each rounded to a second";
  EXPECT_LE(seconds, 1260 + 3 + static_cast<double>(std::time(nullptr) - began));
}
