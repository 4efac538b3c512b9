// SPDX-License-Identifier: BSD-3-Clause
// Seconds, samples and memory of trials, and their numbers while they trained.
#include "study/effort.h"

#include "run/cost.h"
#include "run/file.h"
#include "run/text.h"
#include "study/pruning.h"

#include <foil/error.h>

#include <fmt/format.h>

#include <algorithm>

namespace foil {
namespace {

std::map<std::string, Online> last_and_best(const std::string& folder, const TrialResults& results) {
  std::map<std::string, Online> online;
  for (const auto& [metric, values] : read_online(folder, results)) {
    const Measure measure = measure_in(results, metric);
    const auto best = std::min_element(
        values.begin(), values.end(),
        [&](const OnlineValue& a, const OnlineValue& b) { return is_better(measure, a.value, b.value); });
    online[metric] = {values.back().value, best->value, best->epoch};
  }
  return online;
}

// "80.1 ± 0.2" of one number of each trial that has it. `text` is given what to write and the mean.
template <class Take>
std::string over_trials(const TableRow& row, const Take& take,
                        const std::function<std::string(double, double)>& text) {
  BySeed values;
  for (const auto& [seed, effort] : row.efforts) {
    if (const std::optional<double> value = take(effort)) values[seed] = *value;
  }
  if (values.empty()) return "";
  const double centre = mean(values);
  return text(centre, centre) + (values.size() > 1 ? " ± " + text(sample_std(values), centre) : "");
}

std::optional<double> known(double value) { return value > 0 ? std::optional(value) : std::nullopt; }

std::string seconds_text(double seconds, double mean) {
  return fmt::format("{:.{}f}", seconds, mean < 10 ? 1 : 0);
}

// The best epochs of the trials: "7", "6 to 8".
std::string epochs_text(const TableRow& row, const std::string& metric) {
  int64_t low = 0, high = 0;
  for (const auto& [seed, effort] : row.efforts) {
    const auto at = effort.online.find(metric);
    if (at == effort.online.end()) continue;
    low = low == 0 ? at->second.best_epoch : std::min(low, at->second.best_epoch);
    high = std::max(high, at->second.best_epoch);
  }
  if (high == 0) return "";
  return low == high ? std::to_string(low) : fmt::format("{} to {}", low, high);
}

// What no record tells has no column; where they tell nothing, there is no table.
std::vector<std::vector<std::string>> without_empty_columns(std::vector<std::vector<std::string>> lines) {
  for (size_t c = lines[0].size() - 1; c > 0; --c) {
    if (!std::all_of(lines.begin() + 1, lines.end(), [c](const auto& line) { return line[c].empty(); }))
      continue;
    for (auto& line : lines) line.erase(line.begin() + static_cast<std::ptrdiff_t>(c));
  }
  if (lines[0].size() == 1) lines.clear();
  return lines;
}

bool has_online(const ComparisonTable& table, const std::string& metric) {
  return std::any_of(table.rows.begin(), table.rows.end(), [&](const TableRow& row) {
    return std::any_of(row.efforts.begin(), row.efforts.end(),
                       [&](const auto& effort) { return effort.second.online.contains(metric); });
  });
}

}  // namespace

Effort read_effort(const std::string& folder, double seconds, const TrialResults& results) {
  Effort effort{seconds, 0, 0, last_and_best(folder, results)};
  try {
    if (const auto cost = read_cost(folder))
      effort = {cost->seconds, cost->samples, cost->peak_memory, std::move(effort.online)};
  } catch (const Error&) {
  }
  return effort;
}

std::vector<std::vector<std::string>> effort_grid(const ComparisonTable& table) {
  std::vector<std::string> metrics;
  for (const auto& metric : table.headline)
    if (has_online(table, metric)) metrics.push_back(metric);
  std::vector<std::vector<std::string>> lines = {{"variant", "seconds", "samples", "peak memory"}};
  for (const auto& metric : metrics) {
    const std::string title = heading(table.measures.at(metric));
    lines[0].insert(lines[0].end(), {title + ", last epoch", "best epoch", "which"});
  }
  for (const auto& row : table.rows) {
    if (row.efforts.empty()) continue;
    auto& line = lines.emplace_back();
    line.push_back(printable(row.name));
    line.push_back(over_trials(
        row, [](const Effort& effort) { return known(effort.seconds); }, seconds_text));
    int64_t samples = 0, memory = 0;
    for (const auto& [seed, effort] : row.efforts) {
      samples = std::max(samples, effort.samples);
      memory = std::max(memory, effort.peak_memory);
    }
    line.push_back(samples > 0 ? fmt::format("{}", fmt::group_digits(samples)) : "");
    line.push_back(memory > 0 ? readable_bytes(memory) : "");
    for (const auto& metric : metrics) {
      const auto text = [&](double value, double) { return value_text(table.measures.at(metric), value); };
      const auto part = [&](double Online::*which) {
        return over_trials(
            row,
            [&](const Effort& effort) {
              const auto at = effort.online.find(metric);
              return at == effort.online.end() ? std::nullopt : std::optional(at->second.*which);
            },
            text);
      };
      line.insert(line.end(), {part(&Online::last), part(&Online::best), epochs_text(row, metric)});
    }
  }
  return without_empty_columns(std::move(lines));
}

std::vector<std::string> effort_notes(const ComparisonTable& table) {
  if (effort_grid(table).empty()) return {};
  std::vector<std::string> notes = {
      "Seconds of training and evaluation; peak memory of the process, or of the device where that is no "
      "CPU."};
  if (std::any_of(table.headline.begin(), table.headline.end(),
                  [&](const auto& metric) { return has_online(table, metric); }))
    notes.push_back(
        "Last and best epoch: on a part of the data while training. The best epoch was chosen by the number "
        "itself, so it is no result.");
  return notes;
}

}  // namespace foil
