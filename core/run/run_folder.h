// SPDX-License-Identifier: BSD-3-Clause
// The folder of one run, runs/NAME/TRIAL/: who works in it (lock), what it is (config.resolved.toml), how it stands (status), where
// it runs (env.json). Decides between a new run, a resume, a finished run and a refusal; knows no other file.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "run/run_lock.h"

namespace foil {

enum class RunState { running, finished, failed, interrupted, again };

struct Status {
  RunState state = RunState::running;
  int64_t step = 0;
  std::string utc;     // when it was written
  std::string reason;  // of a failure; empty otherwise
};

std::string to_string(RunState state);

// The status of the run in a folder; none when it has none yet.
std::optional<Status> read_status(const std::string& folder);

// Renames a folder to PATH.old-YYYYmmddTHHMMSSZ and returns that name.
std::string keep_aside(const std::string& path);

class RunFolder {
 public:
  struct OpenOptions {
    bool restart = false;  // keep an existing run aside and begin anew
    // The keys in which two resolved experiments differ; empty = they are the same run. Without it, texts are compared.
    std::function<std::vector<std::string>(const std::string& old_toml, const std::string& new_toml)> differences;
    std::function<void(const std::string&)> say;  // hears of a lock taken over and of a folder kept aside
  };

  // Creates or continues the run in `path` and locks it until this object goes. A folder whose run has another experiment throws
  // Exit::usage listing the differing keys, unless `restart`, which renames it to PATH.old-YYYYmmddTHHMMSSZ. The status becomes
  // running, unless the run has finished.
  static RunFolder open(const std::string& path, const std::string& resolved_toml, const OpenOptions& options);

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  bool already_finished() const { return found_ && found_->state == RunState::finished; }
  bool resumes() const { return found_ && !already_finished(); }  // an earlier process began this run
  const std::optional<Status>& found() const { return found_; }   // the status that it left

  void set_status(RunState state, int64_t step, const std::string& reason = "") const;
  void write_env(const nlohmann::json& env) const;

 private:
  RunFolder(std::string path, std::unique_ptr<RunLock> lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  std::string path_;
  std::unique_ptr<RunLock> lock_;
  std::optional<Status> found_;
};

}  // namespace foil
