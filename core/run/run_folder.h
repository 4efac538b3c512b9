// SPDX-License-Identifier: BSD-3-Clause
// The folder of one run, runs/NAME/TRIAL/: who works in it (lock), what it is (config.resolved.toml), how it
// stands (status), where it runs (env.json). Decides between a new run, a resume, a finished run and a
// refusal. Of other files it asks one thing: whether there is a checkpoint or a result. A folder without
// either holds no run, whatever an attempt that came to nothing left in it.
#pragma once

#include "run/run_lock.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace foil {

enum class RunState { running, finished, failed, interrupted, again };

// How an experiment differs from the one that a folder's run was made with: "run.epochs: 2 -> 3". `past`:
// what the steps that were made depend on; a run with such a difference does not go on. `rest`: what only the
// steps to come or the evaluation depend on.
struct Differences {
  std::vector<std::string> past, rest;
};

struct Status {
  RunState state = RunState::running;
  int64_t step = 0;
  std::string utc;     // when it was written
  std::string reason;  // of a failure; empty otherwise
};

std::string to_string(RunState state);

// The status of the run in a folder; none when it has none yet.
std::optional<Status> read_status(const std::string& folder);

// For an attempt that was refused before it could open the folder: where an earlier one left a status and no
// run, the reason becomes this one's. Nothing is created; a folder that another process works in is left
// alone.
void note_refusal(const std::string& folder, const std::string& reason);

// Renames a folder to PATH.old-YYYYmmddTHHMMSSZ and returns that name.
std::string keep_aside(const std::string& path);
// Whether a name is of a folder that was kept aside.
bool is_kept_aside(const std::string& name);

class RunFolder {
 public:
  struct OpenOptions {
    bool restart = false;  // keep an existing run aside and begin anew
    // Compares two resolved experiments; none = they are the same run. Without it, texts are compared.
    std::function<Differences(const std::string& old_toml, const std::string& new_toml)> differences;
    // Is told of a lock taken over, of a folder kept aside, and of each change with which a run goes on.
    std::function<void(const std::string&)> say;
    // Asked of a run of the same past: throws where something else, such as its data, has changed.
    std::function<void(const std::string& folder)> check = {};
  };

  // Creates or continues the run in `path` and locks it until this object goes. A folder whose run has
  // another past throws Exit::usage listing the differing keys, unless `restart`, which renames it to
  // PATH.old-YYYYmmddTHHMMSSZ. One that differs in the rest goes on with the new experiment; the old one
  // stays as config.until-step-00000020.toml. The status becomes running, unless the run has finished with
  // this experiment.
  static RunFolder open(const std::string& path, const std::string& resolved_toml,
                        const OpenOptions& options);

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  bool already_finished() const { return found_ && found_->state == RunState::finished && !changed_; }
  bool resumes() const { return found_ && !already_finished(); }  // an earlier process began this run
  const std::optional<Status>& found() const { return found_; }   // the status that it left

  void set_status(RunState state, int64_t step, const std::string& reason = "") const;
  void write_env(const nlohmann::json& env) const;

 private:
  RunFolder(std::string path, std::unique_ptr<RunLock> lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  std::string path_;
  std::unique_ptr<RunLock> lock_;
  std::optional<Status> found_;
  bool changed_ = false;  // it goes on with another experiment
};

}  // namespace foil
