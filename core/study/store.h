// SPDX-License-Identifier: BSD-3-Clause
// The trials of a study, kept in study.sqlite in the study's folder (runs/NAME/). One process writes, any
// number read. It records what was planned and how it went; the numbers themselves are in the trials' folders
// (results.json, metrics.jsonl).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct sqlite3;

namespace foil {

// One trial of a sweep, before it ran. `name` is unique in the study and names the trial's folder; trials
// that differ in nothing but the seed share `variant`.
struct PlannedTrial {
  std::string name, variant;
  int64_t seed = 0;
  std::string config;  // the experiment, as TOML: what its results stand for
  // Of the whole trial, for the estimate of a dry run: optimizer steps, and bytes of checkpoints; 0 when not
  // known.
  int64_t steps = 0, disk = 0;
};

enum class TrialState { waiting, running, complete, failed, pruned };
std::string to_string(TrialState state);

struct TrialRecord {
  std::string name, variant;
  int64_t seed = 0;
  std::string config;  // as it was planned; of a study of an older foil the checksum of it
  TrialState state = TrialState::waiting;
  std::string reason;                        // why it failed or was stopped
  std::string started, finished, heartbeat;  // UTC, 2026-01-31T23:59:59Z; empty when it has not happened
  double seconds = 0;                        // spent so far, over all attempts
  std::string results;                       // results.json of a complete trial
  std::string folder;                        // study folder / name
};

class TrialStore {
 public:
  enum class Access { write, read };

  // Writing creates what is missing and holds study.lock until destruction (a killed writer's lock is free);
  // a second writer gets an Error that names the first one's host and PID. A file of a newer schema, or that
  // is no study, is an Error.
  explicit TrialStore(const std::string& study_folder, Access access = Access::write);
  // For writing; nothing, and who writes, while another process does.
  static std::unique_ptr<TrialStore> if_free(const std::string& study_folder, std::string& writer);
  ~TrialStore();
  TrialStore(const TrialStore&) = delete;
  TrialStore& operator=(const TrialStore&) = delete;

  static bool exists(const std::string& study_folder);
  const std::string& folder() const { return folder_; }

  // Makes these the trials of the study, in this order. Known ones keep their state, but a complete one with
  // another config is an Error: its results would stand for a configuration that made none. Unfinished
  // ones that are no longer planned are forgotten; complete ones stay, after the planned.
  void plan(const std::vector<PlannedTrial>& trials);
  // Throws Error (Exit::data) naming file, trial and column for a record that is none: an unknown state,
  // another type, nothing.
  std::vector<TrialRecord> trials() const;

  void reopen(const std::string& name);  // a complete trial waits again
  void start(const std::string& name);
  void heartbeat(const std::string& name);  // a sign of life of a running trial; another thread may call it
  void complete(const std::string& name, const std::string& results);
  void fail(const std::string& name, const std::string& reason);
  void prune(const std::string& name, const std::string& reason);
  void stop(const std::string& name, const std::string& reason);  // interrupted: waits again
  // Complete, failed or pruned after `seconds`, by other processes; nothing for one that is complete already.
  void settle(const std::string& name, TrialState state, const std::string& reason,
              const std::string& results, double seconds);

  // True while some process, this one included, holds the study for writing: a `running` trial without one
  // was killed.
  static bool is_being_written(const std::string& study_folder);

 private:
  TrialStore(const std::string& study_folder, Access access, int lock);
  struct Close {
    void operator()(sqlite3* database) const;
  };
  void create_or_check_schema(Access access);
  void check_tables();
  void finish(const std::string& name, TrialState state, const std::string& reason,
              const std::string& results);

  std::string folder_, path_;
  const char* config_column_ = "config";
  int lock_ = -1;
  std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace foil
