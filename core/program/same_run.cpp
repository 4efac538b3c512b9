// SPDX-License-Identifier: BSD-3-Clause
// Which keys of two experiments belong to the steps already made and which to the rest.
#include "program/same_run.h"

#include "config/dump.h"
#include "config/parse.h"
#include "run/checkpoint.h"
#include "run/file.h"

#include <foil/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

namespace foil {
namespace {

bool is_length(const std::string& difference) {
  return difference.starts_with("run.steps:") || difference.starts_with("run.epochs:");
}

// Of "loss.temperature: 0.1 -> 0.2": whether no step that was made would have been another.
bool is_rest(const std::string& difference) {
  static constexpr const char* kRest[] = {
      "evaluate.",  "collapse.",   "checkpoint.",  "log.",         "plugins.",
      "run.steps:", "run.epochs:", "run.threads:", "run.timeout:", "run.deterministic:"};
  return std::any_of(std::begin(kRest), std::end(kRest),
                     [&](const char* prefix) { return difference.starts_with(prefix); });
}

}  // namespace

Node read_experiment_record(const std::string& path) { return experiment_record(read_record(path), path); }

Node experiment_record(const std::string& text, const std::string& place) {
  try {
    return parse_toml(text, place);
  } catch (const Error& error) {
    fail(Exit::data, error.what());
  }
}

int64_t steps_made(const std::string& folder) {
  const std::vector<std::string> checkpoints = Checkpoints(folder + "/checkpoints", 1).list();
  if (checkpoints.empty()) return 0;
  const std::string stem = std::filesystem::path(checkpoints.back()).filename();  // step-00000020
  int64_t step = 0;
  std::from_chars(stem.data() + stem.find('-') + 1, stem.data() + stem.size(), step);
  return step;
}

std::vector<std::string> differences_from(const Node& record, const Node& now) {
  return differences(record, as_recorded(now, record), {"run.output"});
}

Differences compare_experiments(const std::string& folder, const Node& now, int64_t steps) {
  Differences found;
  const int64_t made = steps_made(folder);
  const Node before = read_experiment_record(folder + "/config.resolved.toml");
  for (std::string& difference : differences_from(before, now)) {
    if (is_length(difference) && steps < made) {
      found.past.push_back(fmt::format("{} ({} steps are made)", difference, made));
    } else {
      (is_rest(difference) ? found.rest : found.past).push_back(std::move(difference));
    }
  }
  return found;
}

}  // namespace foil
