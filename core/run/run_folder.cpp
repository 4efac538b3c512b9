// SPDX-License-Identifier: BSD-3-Clause
// All is decided under the lock, and the experiment is written before anything that belongs to it.
#include "run/run_folder.h"

#include "run/checkpoint.h"
#include "run/file.h"
#include "run/json.h"

#include <foil/error.h>

#include <algorithm>
#include <filesystem>

namespace foil {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "/config.resolved.toml";
constexpr const char* kStatus = "/status";
constexpr const char* kEnv = "/env.json";
constexpr const char* kLock = "/lock";
constexpr const char* kResults = "/results.json";
constexpr const char* kCheckpoints = "/checkpoints";
constexpr const char* kStates[] = {"running", "finished", "failed", "interrupted", "again"};
constexpr const char* kAside = ".old-";

void create_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) fail(Exit::failure, path, ": cannot create the folder: ", error.message());
}

// A folder holds a run when it has a result, or a checkpoint to go on from.
bool holds_run(const std::string& path) {
  return fs::exists(path + kResults) || !Checkpoints(path + kCheckpoints, 1).list().empty();
}

// The changes with which the run goes on; throws when the steps that it has made depend on one.
std::vector<std::string> check_past(const std::string& path, const std::string& resolved_toml,
                                    const RunFolder::OpenOptions& options) {
  const std::string old_toml = read_record(path + kConfig);
  if (old_toml == resolved_toml) return {};
  std::string keys;
  if (options.differences) {
    const Differences differences = options.differences(old_toml, resolved_toml);
    if (differences.past.empty()) return differences.rest;
    for (const std::string& key : differences.past) keys += (keys.empty() ? "" : ", ") + key;
  }
  fail(Exit::usage, path, ": holds a run of another experiment",
       keys.empty() ? "" : ", which differs in " + keys,
       ". Choose another run.name, or --restart to keep the old folder aside and begin anew.");
}

// Puts the new experiment in the place of the old one, which stays beside it: it made the steps up to the
// newest checkpoint.
void replace_config(const std::string& path, const std::string& resolved_toml) {
  const std::vector<std::string> checkpoints = Checkpoints(path + kCheckpoints, 1).list();
  const std::string stem =
      checkpoints.empty() ? "step-00000000" : fs::path(checkpoints.back()).filename().string();
  const std::string kept = path + "/config.until-" + stem + ".toml";
  if (!fs::exists(kept)) write_atomically(kept, read_file(path + kConfig));
  write_atomically(path + kConfig, resolved_toml);
}

void write_status(const std::string& folder, RunState state, int64_t step, const std::string& reason) {
  write_atomically(
      folder + kStatus,
      dump_json({{"state", to_string(state)}, {"step", step}, {"utc", utc_now()}, {"reason", reason}}) +
          "\n");
}

}  // namespace

bool is_kept_aside(const std::string& name) { return name.find(kAside) != std::string::npos; }

std::string keep_aside(const std::string& path) {
  std::string now = utc_now();
  std::erase_if(now, [](char c) { return c == '-' || c == ':'; });
  const std::string name = path + kAside + now;
  std::string aside = name;
  for (int i = 2; fs::exists(aside); ++i) aside = name + "-" + std::to_string(i);
  std::error_code error;
  fs::rename(path, aside, error);
  if (error) fail(Exit::failure, path, ": cannot be renamed to ", aside, ": ", error.message());
  return aside;
}

std::string to_string(RunState state) { return kStates[static_cast<size_t>(state)]; }

std::optional<Status> read_status(const std::string& folder) {
  const std::string path = folder + kStatus;
  if (!fs::exists(path)) return std::nullopt;
  const nlohmann::json json = parse_json(read_record(path), path);
  try {
    const auto state = std::find(std::begin(kStates), std::end(kStates), json.at("state").get<std::string>());
    if (state == std::end(kStates)) {
      fail(Exit::data, path, ": unknown state ", json.at("state").dump(), ".",
           known_names("states", json.at("state").get<std::string>(),
                       {std::begin(kStates), std::end(kStates)}));
    }
    if (!json.at("step").is_number_integer())
      fail(Exit::data, path, ": step ", json.at("step").dump(), ", allowed: an integer");
    return Status{static_cast<RunState>(state - kStates), json.at("step"), json.value("utc", ""),
                  json.at("reason")};
  } catch (const nlohmann::json::exception& error) {
    fail(Exit::data, path, ": not a status: ", complaint(error));
  }
}

RunFolder RunFolder::open(const std::string& given, const std::string& resolved_toml,
                          const OpenOptions& options) {
  std::string path = fs::path(given).lexically_normal();
  if (path.size() > 1 && path.back() == '/') path.pop_back();

  create_folder(path);
  auto lock = std::make_unique<RunLock>(path + kLock, options.say);
  if (options.restart && fs::exists(path + kConfig)) {
    const std::string aside = keep_aside(path);
    lock.reset();  // its file has moved away with the folder
    std::error_code ignored;
    fs::remove(aside + kLock, ignored);
    if (options.say) options.say(path + ": the old folder is kept as " + aside);
    create_folder(path);
    lock = std::make_unique<RunLock>(path + kLock, options.say);
  }

  RunFolder folder(path, std::move(lock));
  if (fs::exists(path + kConfig) && holds_run(path)) {
    folder.found_ = read_status(path);
    const std::vector<std::string> changes = check_past(path, resolved_toml, options);
    if (options.check) options.check(path);
    folder.changed_ = !changes.empty();
    if (folder.changed_) replace_config(path, resolved_toml);
    for (const std::string& change : changes) {
      if (options.say) options.say(path + ": goes on with " + change);
    }
  } else {
    write_atomically(path + kConfig, resolved_toml);
  }
  if (!folder.already_finished())
    folder.set_status(RunState::running, folder.found_ ? folder.found_->step : 0);
  return folder;
}

void note_refusal(const std::string& folder, const std::string& reason) {
  if (!fs::exists(folder + kStatus) || holds_run(folder)) return;
  try {
    const RunLock lock(folder + kLock, {});
    write_status(folder, RunState::failed, 0, reason);
  } catch (const Error&) {
  }
}

void RunFolder::set_status(RunState state, int64_t step, const std::string& reason) const {
  write_status(path_, state, step, reason);
}

void RunFolder::write_env(const nlohmann::json& env) const {
  write_atomically(path_ + kEnv, dump_json(env, 2) + "\n");
}

}  // namespace foil
