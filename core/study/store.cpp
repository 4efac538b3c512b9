// SPDX-License-Identifier: BSD-3-Clause
// The trial store: SQLite's C API behind one small statement class, and a lock file for the writer.
#include "study/store.h"

#include <foil/error.h>

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>

namespace foil {
namespace {

constexpr int64_t schema_version = 2;  // 1 had config_hash for config and no pruned trials
constexpr const char* states[] = {"waiting", "running", "complete", "failed", "pruned"};
constexpr const char* now = "strftime('%Y-%m-%dT%H:%M:%SZ', 'now')";

// The statements are known to be right. Where the database can make no sense of one, or refuses its values,
// the file is none of ours.
[[noreturn]] void fail_database(const std::string& path, sqlite3* database) {
  static constexpr int kDamage[] = {SQLITE_NOTADB,     SQLITE_CORRUPT,  SQLITE_ERROR,
                                    SQLITE_CONSTRAINT, SQLITE_MISMATCH, SQLITE_TOOBIG};
  const int code = sqlite3_errcode(database);
  const bool damaged = std::find(std::begin(kDamage), std::end(kDamage), code) != std::end(kDamage);
  foil::fail(damaged ? Exit::data : Exit::failure, path, ": ", sqlite3_errmsg(database));
}

// A prepared statement with its values bound to ?1, ?2, ...
class Statement {
 public:
  template <class... Values>
  Statement(const std::string& path, sqlite3* database, const std::string& sql, const Values&... values)
      : path_(path), database_(database) {
    check(sqlite3_prepare_v2(database, sql.c_str(), -1, &statement_, nullptr));
    int position = 0;
    (bind(++position, values), ...);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  bool next() {  // false after the last row
    const int code = sqlite3_step(statement_);
    if (code != SQLITE_ROW && code != SQLITE_DONE) fail_database(path_, database_);
    return code == SQLITE_ROW;
  }
  // The values of a row. SQLite keeps any type in any column, so the type is checked. `who` is what the row
  // is about, for the message.
  int64_t integer(int column, const std::string& who) {
    if (type(column) != SQLITE_INTEGER) refuse(column, who, "an integer");
    return sqlite3_column_int64(statement_, column);
  }
  double real(int column, const std::string& who) {
    if (type(column) != SQLITE_FLOAT && type(column) != SQLITE_INTEGER) refuse(column, who, "a number");
    return sqlite3_column_double(statement_, column);
  }
  std::string text(int column, const std::string& who) {
    if (type(column) != SQLITE_TEXT) refuse(column, who, "a text");
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return std::string(bytes, sqlite3_column_bytes(statement_, column));
  }
  std::string text_or_nothing(int column, const std::string& who) {
    return type(column) == SQLITE_NULL ? std::string() : text(column, who);
  }

 private:
  int type(int column) { return sqlite3_column_type(statement_, column); }
  [[noreturn]] void refuse(int column, const std::string& who, const char* allowed) {
    static constexpr const char* kTypes[] = {"an integer", "a number", "a text", "bytes",
                                             "nothing"};  // SQLITE_INTEGER is 1
    foil::fail(Exit::data, path_, ": ", who, ": ", sqlite3_column_name(statement_, column), " is ",
               kTypes[type(column) - 1], ", allowed: ", allowed);
  }
  void bind(int position, int64_t value) { check(sqlite3_bind_int64(statement_, position, value)); }
  void bind(int position, double value) { check(sqlite3_bind_double(statement_, position, value)); }
  void bind(int position, const std::string& value) {
    check(sqlite3_bind_text(statement_, position, value.data(), static_cast<int>(value.size()),
                            SQLITE_TRANSIENT));
  }
  void check(int code) {
    if (code == SQLITE_OK) return;
    sqlite3_finalize(std::exchange(statement_, nullptr));
    fail_database(path_, database_);
  }
  const std::string& path_;
  sqlite3* database_;
  sqlite3_stmt* statement_ = nullptr;
};

// Everything between construction and commit() happens, or nothing does.
class Transaction {
 public:
  Transaction(const std::string& path, sqlite3* database) : path_(path), database_(database) {
    Statement(path_, database_, "BEGIN IMMEDIATE").next();
  }
  ~Transaction() {
    if (open_) sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
  }
  void commit() {
    Statement(path_, database_, "COMMIT").next();
    open_ = false;
  }

 private:
  const std::string& path_;
  sqlite3* database_;
  bool open_ = true;
};

std::string lock_path(const std::string& folder) { return folder + "/study.lock"; }

// A lock of the open file, not of the process: a second store in one process is refused too, and a reader
// asks without taking it.
struct flock whole_file_lock() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

// Takes the writer's lock and writes who we are into it; -1, and who has it, when it is another's. Not a row
// of the database: the kernel frees this when we are killed.
int take_lock(const std::string& folder, std::string& writer) {
  std::error_code error_code;
  std::filesystem::create_directories(folder, error_code);
  if (error_code) fail(Exit::failure, folder, ": ", error_code.message());
  const std::string path = lock_path(folder);
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) fail(Exit::failure, path, ": ", std::strerror(errno));
  struct flock lock = whole_file_lock();
  if (::fcntl(file, F_OFD_SETLK, &lock) != 0) {
    const int error = errno;
    char owner[300] = {};
    const bool named = ::pread(file, owner, sizeof owner - 1, 0) > 0;
    ::close(file);
    if (error != EAGAIN && error != EACCES)
      fail(Exit::failure, path, ": cannot be locked: ", std::strerror(error));
    writer = named ? owner : "another process";
    return -1;
  }
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  const std::string owner = fmt::format("PID {} on host {}", ::getpid(), host);
  if (::ftruncate(file, 0) != 0 ||
      ::pwrite(file, owner.data(), owner.size(), 0) != static_cast<ssize_t>(owner.size())) {
    const int error = errno;
    ::close(file);
    fail(Exit::failure, path, ": ", std::strerror(error));
  }
  return file;
}

int needed_lock(const std::string& folder) {
  std::string writer;
  const int lock = take_lock(folder, writer);
  if (lock < 0)
    fail(Exit::failure, folder, ": this study is being written by ", writer, ". Wait for it or end it.");
  return lock;
}

}  // namespace

std::string to_string(TrialState state) { return states[static_cast<int>(state)]; }

void TrialStore::Close::operator()(sqlite3* database) const { sqlite3_close(database); }

bool TrialStore::exists(const std::string& study_folder) {
  return std::filesystem::exists(study_folder + "/study.sqlite");
}

bool TrialStore::is_being_written(const std::string& study_folder) {
  const int file = ::open(lock_path(study_folder).c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  struct flock lock = whole_file_lock();
  const bool held = ::fcntl(file, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
  ::close(file);
  return held;
}

std::unique_ptr<TrialStore> TrialStore::if_free(const std::string& study_folder, std::string& writer) {
  const int lock = take_lock(study_folder, writer);
  return lock < 0 ? nullptr : std::unique_ptr<TrialStore>(new TrialStore(study_folder, Access::write, lock));
}

TrialStore::TrialStore(const std::string& study_folder, Access access)
    : TrialStore(study_folder, access, access == Access::write ? needed_lock(study_folder) : -1) {}

TrialStore::TrialStore(const std::string& study_folder, Access access, int lock)
    : folder_(study_folder), path_(study_folder + "/study.sqlite"), lock_(lock) {
  try {
    // A reader opens for writing too, where it may: after a killed writer the first to come rolls its journal
    // back.
    const int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX | (access == Access::write ? SQLITE_OPEN_CREATE : 0);
    sqlite3* database = nullptr;
    const int code = sqlite3_open_v2(path_.c_str(), &database, flags, nullptr);
    database_.reset(database);
    if (code != SQLITE_OK) fail_database(path_, database);
    sqlite3_busy_timeout(database, 10'000);
    create_or_check_schema(access);
  } catch (...) {
    if (lock_ >= 0) ::close(lock_);
    throw;
  }
}

TrialStore::~TrialStore() {
  database_.reset();
  if (lock_ >= 0) ::close(lock_);
}

void TrialStore::create_or_check_schema(Access access) {
  int64_t version = 0;
  {
    Statement query(path_, database_.get(), "PRAGMA user_version");
    if (query.next()) version = query.integer(0, "user_version");
  }
  if (version > schema_version) {
    foil::fail(Exit::failure, path_, ": schema version ", version, ", this program knows versions up to ",
               schema_version, ". Use the foil that wrote it, or a newer one.");
  }
  if (version > 0) check_tables();
  if (version == schema_version) return;
  if (version == 0) {
    Statement tables(path_, database_.get(), "SELECT name FROM sqlite_master");
    if (access == Access::read || tables.next()) foil::fail(Exit::data, path_, ": not a study of foil");
  }
  if (access == Access::read) {
    config_column_ = "config_hash";
    return;
  }
  Transaction transaction(path_, database_.get());
  if (version == 1)
    Statement(path_, database_.get(), "ALTER TABLE trials RENAME TO trials_of_version_1").next();
  Statement(path_, database_.get(), R"(CREATE TABLE trials (
      name TEXT PRIMARY KEY, variant TEXT NOT NULL, seed INTEGER NOT NULL, config TEXT NOT NULL, position INTEGER NOT NULL,
      state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'complete', 'failed', 'pruned')),
      reason TEXT NOT NULL DEFAULT '', started TEXT, finished TEXT, heartbeat TEXT, seconds REAL NOT NULL DEFAULT 0,
      results TEXT NOT NULL DEFAULT '', folder TEXT NOT NULL))")
      .next();
  if (version == 1) {
    Statement(path_, database_.get(), R"(INSERT INTO trials SELECT name, variant, seed, config_hash, position,
        state, reason, started, finished, heartbeat, seconds, results, folder FROM trials_of_version_1)")
        .next();
    Statement(path_, database_.get(), "DROP TABLE trials_of_version_1").next();
  }
  Statement(path_, database_.get(), fmt::format("PRAGMA user_version = {}", schema_version)).next();
  transaction.commit();
}

// A view or a trigger could do anything in the name of a table of ours.
void TrialStore::check_tables() {
  Statement others(path_, database_.get(),
                   "SELECT name FROM sqlite_master WHERE type NOT IN ('table', 'index')");
  if (others.next())
    foil::fail(Exit::data, path_, ": has '", others.text(0, "schema"),
               "', which is nothing of a study of foil");
  Statement table(path_, database_.get(),
                  "SELECT 1 FROM sqlite_master WHERE name = 'trials' AND type = 'table'");
  if (!table.next()) foil::fail(Exit::data, path_, ": not a study of foil");
}

void TrialStore::plan(const std::vector<PlannedTrial>& trials) {
  Transaction transaction(path_, database_.get());
  std::set<std::string> names;
  const auto count = static_cast<int64_t>(trials.size());
  Statement(path_, database_.get(), "UPDATE trials SET position = position + ?1", count).next();
  for (const auto& trial : trials) {
    if (!names.insert(trial.name).second)
      foil::fail(Exit::usage, folder_, ": two trials are named '", trial.name, "'");
    Statement other(path_, database_.get(),
                    "SELECT 1 FROM trials WHERE name = ?1 AND state = 'complete' AND config <> ?2",
                    trial.name, trial.config);
    if (other.next()) {
      foil::fail(Exit::usage, folder_, ": trial '", trial.name,
                 "' is complete with another configuration. Give the study another name, or start it anew "
                 "with --restart.");
    }
    Statement(path_, database_.get(), R"(INSERT INTO trials (name, variant, seed, config, position, folder)
        VALUES (?1, ?2, ?3, ?4, ?5, ?1) ON CONFLICT (name) DO UPDATE
        SET variant = ?2, seed = ?3, config = ?4, position = ?5)",
              trial.name, trial.variant, trial.seed, trial.config, static_cast<int64_t>(names.size() - 1))
        .next();
  }
  Statement(path_, database_.get(), "DELETE FROM trials WHERE position >= ?1 AND state <> 'complete'", count)
      .next();
  transaction.commit();
}

std::vector<TrialRecord> TrialStore::trials() const {
  Statement query(
      path_, database_.get(),
      fmt::format(R"(SELECT name, variant, seed, {}, state, reason, started, finished, heartbeat, seconds,
      results, folder FROM trials ORDER BY position)",
                  config_column_));
  std::vector<TrialRecord> records;
  while (query.next()) {
    const std::string name = query.text(0, fmt::format("trial {}", records.size() + 1)),
                      who = "trial '" + name + "'";
    const std::string state = query.text(4, who), folder = query.text(11, who);
    const auto* known = std::find(std::begin(states), std::end(states), state);
    if (known == std::end(states)) {
      foil::fail(Exit::data, path_, ": ", who, ": unknown state '", state, "'.",
                 known_names("states", state, {std::begin(states), std::end(states)}));
    }
    if (folder.empty() || folder == "." || folder == ".." ||
        folder.find_first_of(std::string_view("/\0", 2)) != folder.npos) {
      foil::fail(Exit::data, path_, ": ", who, ": folder is '", folder,
                 "', allowed: the name of a folder in the study's");
    }
    records.push_back({name, query.text(1, who), query.integer(2, who), query.text(3, who),
                       static_cast<TrialState>(known - states), query.text(5, who),
                       query.text_or_nothing(6, who), query.text_or_nothing(7, who),
                       query.text_or_nothing(8, who), query.real(9, who), query.text(10, who),
                       folder_ + "/" + folder});
  }
  return records;
}

void TrialStore::reopen(const std::string& name) {
  Statement(path_, database_.get(),
            "UPDATE trials SET state = 'waiting' WHERE name = ?1 AND state = 'complete'", name)
      .next();
}

void TrialStore::start(const std::string& name) {
  // Of an attempt that was killed, the time up to its last sign of life counts.
  Statement(path_, database_.get(),
            fmt::format(R"(UPDATE trials SET
      seconds = seconds + CASE state WHEN 'running' THEN strftime('%s', heartbeat) - strftime('%s', started) ELSE 0 END,
      state = 'running', reason = '', results = '', started = {0}, heartbeat = {0}, finished = NULL WHERE name = ?1)",
                        now),
            name)
      .next();
}

void TrialStore::heartbeat(const std::string& name) {
  Statement(path_, database_.get(),
            fmt::format("UPDATE trials SET heartbeat = {} WHERE name = ?1 AND state = 'running'", now), name)
      .next();
}

void TrialStore::finish(const std::string& name, TrialState state, const std::string& reason,
                        const std::string& results) {
  Statement(
      path_, database_.get(),
      fmt::format(
          R"(UPDATE trials SET seconds = seconds + COALESCE(strftime('%s', {0}) - strftime('%s', started), 0),
      state = ?2, reason = ?3, results = ?4, heartbeat = {0}, finished = CASE ?2 WHEN 'waiting' THEN NULL ELSE {0} END
      WHERE name = ?1)",
          now),
      name, to_string(state), reason, results)
      .next();
}

void TrialStore::complete(const std::string& name, const std::string& results) {
  finish(name, TrialState::complete, "", results);
}
void TrialStore::fail(const std::string& name, const std::string& reason) {
  finish(name, TrialState::failed, reason, "");
}
void TrialStore::prune(const std::string& name, const std::string& reason) {
  finish(name, TrialState::pruned, reason, "");
}
void TrialStore::stop(const std::string& name, const std::string& reason) {
  finish(name, TrialState::waiting, reason, "");
}

void TrialStore::settle(const std::string& name, TrialState state, const std::string& reason,
                        const std::string& results, double seconds) {
  Statement(path_, database_.get(),
            fmt::format(R"(UPDATE trials SET state = ?2, reason = ?3, results = ?4, seconds = ?5,
      started = COALESCE(started, {0}), heartbeat = {0}, finished = {0} WHERE name = ?1 AND state <> 'complete')",
                        now),
            name, to_string(state), reason, results, seconds)
      .next();
}

}  // namespace foil
