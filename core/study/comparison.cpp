// SPDX-License-Identifier: BSD-3-Clause
// Gathers a comparison from folders.
#include "study/comparison.h"

#include "run/file.h"
#include "run/run_folder.h"
#include "study/effort.h"
#include "study/store.h"
#include "study/trial_results.h"

#include <foil/error.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <set>
#include <string_view>

namespace foil {
namespace fs = std::filesystem;
namespace {

// One run as found on disk. `place` is the folder that groups runs: the study, or the parent of a single run.
struct Found {
  std::string place, variant, folder;
  int64_t seed = 0;
  bool baseline = false;
  std::optional<TrialResults> results;
  Unfinished unfinished;    // when there are no results
  double seconds = 0;       // that its study counted
  std::string config = {};  // that its study recorded
};

std::optional<int64_t> integer(std::string_view text) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stop == end ? std::optional(value) : std::nullopt;
}

std::string unquoted(const std::string& toml) {
  const bool quoted = toml.size() >= 2 && toml.front() == '"' && toml.back() == '"';
  return quoted ? toml.substr(1, toml.size() - 2) : toml;
}

bool is_run(const fs::path& folder) {
  return fs::exists(folder / "results.json") || fs::exists(folder / "status") ||
         fs::exists(folder / "config.resolved.toml");
}

std::vector<fs::path> sorted_runs(const fs::path& folder) {
  std::vector<fs::path> runs;
  if (!fs::is_directory(folder)) return runs;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!is_kept_aside(entry.path().filename()) && is_run(entry.path())) runs.push_back(entry.path());
  }
  std::sort(runs.begin(), runs.end());
  return runs;
}

// Results from the folder, where a later evaluation may have renewed them, or else from `stored`. Damage
// makes an unfinished trial.
void take_results(Found& found, const std::string& stored = "") {
  const std::string path = found.folder + "/results.json";
  try {
    const std::string text = read_text(path).value_or(stored);
    if (text.empty()) fail(Exit::data, "results.json is missing");
    found.results = parse_results(text, path);
  } catch (const Error& error) {
    found.unfinished = {found.seed, "failed", error.what()};
  }
}

Found from_record(const TrialRecord& record, const std::string& study, bool being_written) {
  Found found{study, record.variant, record.folder, record.seed, false, std::nullopt,
              {},    record.seconds, record.config};
  if (record.state == TrialState::complete) {
    take_results(found, record.results);
  } else if (record.state == TrialState::running && !being_written) {
    found.unfinished = {record.seed, "killed",
                        "last seen " + record.heartbeat + "; the same command continues it"};
  } else if (record.state == TrialState::running) {
    found.unfinished = {record.seed, "running", "since " + record.started};
  } else {
    found.unfinished = {record.seed, to_string(record.state), record.reason};
  }
  return found;
}

// baselines/untrained-seed1 is "untrained" with seed 1, baselines/raw-pixels is "raw pixels" with seed 0.
Found from_baseline(const fs::path& folder, const std::string& study) {
  std::string name = folder.filename();
  int64_t seed = 0;
  if (const auto at = name.rfind("-seed"); at != std::string::npos) {
    if (const auto number = integer(std::string_view(name).substr(at + 5))) {
      seed = *number;
      name.resize(at);
    }
  }
  std::replace(name.begin(), name.end(), '-', ' ');
  Found found{study, name, folder, seed, true, std::nullopt, {}, 0};
  take_results(found);
  return found;
}

Found from_run(const fs::path& folder, const ReadConfig& read_config) {
  const fs::path place = folder.parent_path();
  if (place.filename() == "baselines") return from_baseline(folder, place.parent_path());
  if (TrialStore::exists(place)) {
    for (const auto& record : TrialStore(place, TrialStore::Access::read).trials()) {
      if (fs::path(record.folder).filename() == folder.filename()) {
        return from_record(record, place, TrialStore::is_being_written(place));
      }
    }
  }
  Found found{place, folder.filename(), folder, 0, false, std::nullopt, {}, 0};
  const std::string path = folder / "config.resolved.toml";
  if (const auto text = read_text(path)) {
    const auto config = read_config(*text, path);
    if (const auto name = config.find("run.name"); name != config.end())
      found.variant = unquoted(name->second);
    if (const auto seed = config.find("run.seed"); seed != config.end()) {
      const auto number = integer(seed->second);
      if (!number) fail(Exit::data, path, ": run.seed = ", seed->second, ", allowed: an integer");
      found.seed = *number;
    }
  }
  try {
    const auto status = read_status(folder);
    if (fs::exists(folder / "results.json") && !(status && status->state == RunState::failed)) {
      take_results(found);
    } else {
      found.unfinished = {found.seed, status ? to_string(status->state) : "unfinished",
                          status ? status->reason : ""};
    }
  } catch (const Error& error) {
    found.unfinished = {found.seed, "failed", error.what()};
  }
  return found;
}

std::vector<Found> find_runs(const std::string& given, const ReadConfig& read_config) {
  if (!fs::is_directory(given)) fail(Exit::data, given, ": no such folder");
  const fs::path folder = fs::canonical(given);
  std::vector<Found> found;
  if (TrialStore::exists(folder)) {
    for (const auto& path : sorted_runs(folder / "baselines")) found.push_back(from_baseline(path, folder));
    const bool being_written = TrialStore::is_being_written(folder);
    for (const auto& record : TrialStore(folder, TrialStore::Access::read).trials()) {
      found.push_back(from_record(record, folder, being_written));
    }
  } else if (is_run(folder)) {
    found.push_back(from_run(folder, read_config));
  } else {
    for (const auto& path : sorted_runs(folder)) found.push_back(from_run(path, read_config));
  }
  if (found.empty())
    fail(Exit::data, given,
         ": neither a study (study.sqlite) nor a run (results.json, status), nor a folder of runs");
  return found;
}

void add(Comparison& comparison, const Found& found, const std::string& name, const ReadConfig& read_config) {
  const std::string protocol = found.results ? found.results->protocol : "",
                    data = found.results ? found.results->data : "";
  // What is not known counts as equal: a trial without results goes into any row of its name. The row takes
  // the protocol and the data of the first trial that has them.
  const auto differ = [](const std::string& a, const std::string& b) {
    return !a.empty() && !b.empty() && a != b;
  };
  auto row = std::find_if(comparison.rows.begin(), comparison.rows.end(), [&](const Row& r) {
    return r.name == name && r.baseline == found.baseline && !differ(r.protocol, protocol) &&
           !differ(r.data, data);
  });
  if (row == comparison.rows.end()) {
    row = comparison.rows.emplace(comparison.rows.end());
    row->name = name;
    row->baseline = found.baseline;
    row->variant = found.variant;
  }
  if (row->protocol.empty()) row->protocol = protocol;
  if (row->data.empty()) row->data = data;
  if (!found.results) {
    row->unfinished.push_back(found.unfinished);
  } else if (const auto [other, is_new] = row->folders.emplace(found.seed, found.folder); !is_new) {
    fail(Exit::usage, "two runs of '", name, "' with seed ", found.seed, ": ", other->second, " and ",
         found.folder);
  } else {
    for (const auto& [metric, value] : found.results->metrics) row->metrics[metric][found.seed] = value;
    row->measures.insert(found.results->measures.begin(), found.results->measures.end());
    for (const auto& [metric, curve] : found.results->roc) row->outcomes.roc[metric].push_back(curve);
    for (const auto& [metric, counts] : found.results->confusion)
      row->outcomes.confusion[metric].push_back(counts);
    for (const auto& [metric, hits] : read_hits(found.folder, *found.results))
      row->hits[metric][found.seed] = hits;
    if (!found.baseline) row->efforts[found.seed] = read_effort(found.folder, found.seconds, *found.results);
  }
  if (!row->config.empty()) return;
  const std::string path = found.folder + "/config.resolved.toml";
  const auto text = read_text(path);
  if (text)
    row->config = read_config(*text, path);
  else if (!found.config.empty() && !is_checksum(found.config))
    row->config = read_config(found.config, found.place + ", " + found.folder);
}

}  // namespace

Comparison load_comparison(const std::vector<std::string>& folders, const ReadConfig& read_config) {
  std::vector<Found> all;
  std::set<std::string> known;
  for (const auto& folder : folders) {
    for (auto& found : find_runs(folder, read_config)) {
      if (known.insert(found.folder).second) all.push_back(std::move(found));
    }
  }
  std::map<std::string, std::set<std::string>> places;
  for (const auto& found : all) places[found.variant].insert(found.place);
  std::stable_partition(all.begin(), all.end(), [](const Found& found) { return found.baseline; });
  Comparison comparison;
  std::set<std::string> studies;
  for (const auto& found : all)
    if (studies.insert(found.place).second) add_labels(comparison.labels, found.place);
  for (const auto& found : all) {
    const bool ambiguous = places[found.variant].size() > 1;
    add(comparison, found,
        ambiguous ? fs::path(found.place).filename().string() + "/" + found.variant : found.variant,
        read_config);
  }
  return comparison;
}

}  // namespace foil
