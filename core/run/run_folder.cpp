// SPDX-License-Identifier: BSD-3-Clause
// All is decided under the lock. The experiment is written first: a folder with one has a run, a folder without has none.
#include "run/run_folder.h"

#include <foil/error.h>

#include <algorithm>
#include <filesystem>

#include "run/file.h"
#include "run/json.h"

namespace foil {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "/config.resolved.toml";
constexpr const char* kStatus = "/status";
constexpr const char* kEnv = "/env.json";
constexpr const char* kLock = "/lock";
constexpr const char* kStates[] = {"running", "finished", "failed", "interrupted", "again"};

void create_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) fail(Exit::failure, path, ": cannot create the folder: ", error.message());
}

void check_same(const std::string& path, const std::string& resolved_toml, const RunFolder::OpenOptions& options) {
  const std::string old_toml = read_file(path + kConfig);
  if (old_toml == resolved_toml) return;
  std::string keys;
  if (options.differences) {
    for (const std::string& key : options.differences(old_toml, resolved_toml)) keys += (keys.empty() ? "" : ", ") + key;
    if (keys.empty()) return;
  }
  fail(Exit::usage, path, ": holds a run of another experiment", keys.empty() ? "" : ", which differs in " + keys,
       ". Choose another run.name, or --restart to keep the old folder aside and begin anew.");
}

}  // namespace

std::string keep_aside(const std::string& path) {
  std::string now = utc_now();
  std::erase_if(now, [](char c) { return c == '-' || c == ':'; });
  const std::string name = path + ".old-" + now;
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
  const nlohmann::json json = parse_json(read_file(path), path);
  try {
    const auto state = std::find(std::begin(kStates), std::end(kStates), json.at("state").get<std::string>());
    if (state == std::end(kStates)) fail(Exit::data, path, ": unknown state ", json.at("state").dump());
    return Status{static_cast<RunState>(state - kStates), json.at("step"), json.at("utc"), json.at("reason")};
  } catch (const nlohmann::json::exception& error) {
    fail(Exit::data, path, ": not a status: ", error.what());
  }
}

RunFolder RunFolder::open(const std::string& given, const std::string& resolved_toml, const OpenOptions& options) {
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
  if (fs::exists(path + kConfig)) {
    check_same(path, resolved_toml, options);
    folder.found_ = read_status(path);
  } else {
    write_atomically(path + kConfig, resolved_toml);
  }
  if (!folder.already_finished()) folder.set_status(RunState::running, folder.found_ ? folder.found_->step : 0);
  return folder;
}

void RunFolder::set_status(RunState state, int64_t step, const std::string& reason) const {
  write_atomically(path_ + kStatus,
                   dump_json({{"state", to_string(state)}, {"step", step}, {"utc", utc_now()}, {"reason", reason}}) + "\n");
}

void RunFolder::write_env(const nlohmann::json& env) const { write_atomically(path_ + kEnv, env.dump(2) + "\n"); }

}  // namespace foil
