// SPDX-License-Identifier: BSD-3-Clause
// foil runs: the run folders below a folder, as a table or as JSON.
#include "program/commands.h"
#include "program/runs.h"
#include "run/file.h"
#include "run/json.h"
#include "run/text.h"
#include "study/table_text.h"

#include <foil/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <set>

namespace foil {
namespace {

constexpr size_t kLongest = 60;     // of a remark in the table, in bytes
constexpr size_t kMostLeftOut = 5;  // that are named; the rest is counted

// A text of the experiment without its quotes; another value as it is.
std::string plain(const std::string& toml) {
  const bool text = toml.size() >= 2 && toml.front() == '"' && toml.back() == '"';
  return text ? toml.substr(1, toml.size() - 2) : toml;
}

std::string joined(const FoundRun& run, const std::string& key) {
  std::string out;
  for (const std::string& value : values_of(run.experiment, key))
    out += (out.empty() ? "" : " + ") + plain(value);
  return out;
}

// "3 d", "2 h", "5 min", "12 s".
std::string age_text(int64_t seconds) {
  for (const auto& [unit, length] : {std::pair("d", 86400), {"h", 3600}, {"min", 60}})
    if (seconds >= length) return fmt::format("{} {}", seconds / length, unit);
  return fmt::format("{} s", std::max<int64_t>(seconds, 0));
}

std::string shortened(const std::string& text) {
  if (text.size() <= kLongest) return text;
  size_t end = kLongest - 3;
  while ((text[end] & 0xC0) == 0x80) --end;  // not inside a character
  return text.substr(0, end) + "...";
}

std::vector<std::string> line_of(const FoundRun& run, int64_t now) {
  const auto headline = run.results ? headline_of(*run.results) : std::nullopt;
  return {run.folder,
          run.state,
          joined(run, "loss.name"),
          joined(run, "data.name"),
          joined(run, "run.seed"),
          std::to_string(run.step),
          headline ? heading(headline->measure) + " " + value_text(headline->measure, headline->value) : "",
          age_text(now - run.changed),
          readable_bytes(run.bytes)};
}

nlohmann::json json_of(const FoundRun& run) {
  nlohmann::json losses = nlohmann::json::array();
  for (const std::string& value : values_of(run.experiment, "loss.name")) losses.push_back(plain(value));
  nlohmann::json json = {{"folder", run.folder},
                         {"state", run.state},
                         {"remark", run.remark},
                         {"loss", losses},
                         {"data", joined(run, "data.name")},
                         {"seed", parse_json_or_null(joined(run, "run.seed"))},
                         {"step", run.step},
                         {"changed", utc_text(run.changed)},
                         {"bytes", run.bytes}};
  if (!run.results) return json;
  json["protocol"] = run.results->protocol;
  json["identity"] = run.results->data;
  json["metrics"] = run.results->metrics;
  if (const auto headline = headline_of(*run.results)) json["headline"] = headline->metric;
  return json;
}

// A key that no run knows is a slip of the pen.
void require_known(const std::vector<Condition>& conditions, const FoundRuns& found) {
  for (const Condition& condition : conditions) {
    std::set<std::string> keys;
    bool known = false;
    for (const FoundRun& run : found.runs) {
      if ((known = !values_of(run.experiment, condition.key()).empty())) break;
      for (const auto& [key, value] : run.experiment) keys.insert(key);
    }
    if (known || keys.empty()) continue;
    const std::string near = nearest(condition.key(), {keys.begin(), keys.end()});
    fail(Exit::usage, "--where ", condition.text(), ": no run has the key ", condition.key(), ".",
         near.empty() ? "" : " Did you mean '" + near + "'?");
  }
}

void print_table(const std::vector<BestRun>& runs, const FoundRuns& found, const RunsOptions& options) {
  std::vector<std::vector<std::string>> lines = {
      {"run", "state", "loss", "data", "seed", "step", "result", "age", "size"}};
  if (options.best) {
    lines[0].insert(lines[0].end(), {"best of", "protocol"});
  } else {
    lines[0].push_back("remark");
  }
  const int64_t now = std::time(nullptr);
  for (const BestRun& one : runs) {
    auto& line = lines.emplace_back(line_of(*one.run, now));
    if (options.best) {
      line.insert(line.end(), {std::to_string(one.of), one.run->results->protocol});
    } else {
      line.push_back(shortened(one.run->remark));
    }
    for (std::string& cell : line) cell = one_line(cell);
  }
  if (runs.empty()) {
    std::printf("%s: %zu runs, %s\n", printable(options.folder).c_str(), found.runs.size(),
                options.best ? "none with a number to be the best by" : "none that fits");
  } else {
    std::printf("%s", aligned(lines).c_str());
  }
  if (options.best && !runs.empty())
    std::printf("The best was chosen by the number itself; foil compare says what seeds leave of it.\n");
  for (size_t i = 0; i < std::min(kMostLeftOut, found.left_out.size()); ++i)
    std::printf("left out: %s\n", one_line(found.left_out[i]).c_str());
  if (found.left_out.size() > kMostLeftOut)
    std::printf("left out: %zu more\n", found.left_out.size() - kMostLeftOut);
}

void print_json(const std::vector<BestRun>& runs, const FoundRuns& found, const RunsOptions& options) {
  nlohmann::json all = {{"runs", nlohmann::json::array()}, {"left_out", found.left_out}};
  for (const BestRun& one : runs) {
    all["runs"].push_back(json_of(*one.run));
    if (options.best) all["runs"].back()["best_of"] = one.of;
  }
  std::printf("%s\n", dump_json(all, 2).c_str());
}

}  // namespace

int runs_command(const RunsOptions& options) {
  const std::vector<Condition> conditions(options.where.begin(), options.where.end());
  const FoundRuns found = find_runs(options.folder);
  require_known(conditions, found);
  std::vector<const FoundRun*> chosen;
  for (const FoundRun& run : found.runs) {
    if (std::all_of(conditions.begin(), conditions.end(),
                    [&](const Condition& condition) { return condition.holds(run.experiment); }))
      chosen.push_back(&run);
  }
  std::vector<BestRun> runs;
  if (options.best) {
    runs = best_runs(chosen);
  } else {
    for (const FoundRun* run : chosen) runs.push_back({run, 1});
  }
  (options.format == "json" ? print_json : print_table)(runs, found, options);
  return 0;
}

}  // namespace foil
