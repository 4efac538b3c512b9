// SPDX-License-Identifier: BSD-3-Clause
// CSV by hand, as a spreadsheet that opens it must not run what is in it; JSON by its library.
#include "study/table_data.h"

#include "run/text.h"
#include "study/datasets.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

namespace foil {
namespace {

// Whether a spreadsheet would run the cell: what begins so is a formula there, unless it is a number.
bool is_formula(const std::string& text) {
  static constexpr std::string_view kStarts[] = {"=",  "+",  "-",  "@",
                                                 "＝", "＋", "－", "＠"};  // the last four are full-width
  const bool starts = std::any_of(std::begin(kStarts), std::end(kStarts),
                                  [&](auto start) { return text.starts_with(start); });
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data() + text.starts_with('+'), text.data() + text.size(), value);
  const bool number = error == std::errc() && end == text.data() + text.size() && std::isfinite(value);
  return starts && !number;
}

// A text as a field: on one line, quoted where the format asks for it, and with an apostrophe before what
// would be a formula.
std::string csv_field(const std::string& given) {
  const std::string shown = printable(given), text = is_formula(shown) ? "'" + shown : shown;
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

nlohmann::ordered_json json_of(const PairedTest& test) {
  const auto number = [](const std::optional<double>& x) {
    return x ? nlohmann::ordered_json(*x) : nlohmann::ordered_json();
  };
  return {{"pairs", test.pairs},
          {"difference", test.pairs > 0 ? nlohmann::ordered_json(test.difference) : nlohmann::ordered_json()},
          {"interval", {number(test.low), number(test.high)}},
          {"p_t", number(test.p)},
          {"p_sign_flip", number(test.sign_flip)},
          {"p_holm", number(test.holm)}};
}

nlohmann::ordered_json json_of(const Effort& effort) {
  nlohmann::ordered_json json = {
      {"seconds", effort.seconds}, {"samples", effort.samples}, {"peak_memory_bytes", effort.peak_memory}};
  for (const auto& [metric, online] : effort.online) {
    json["while_training"][metric] = {
        {"last_epoch", online.last}, {"best_epoch", online.best}, {"which", online.best_epoch}};
  }
  return json;
}

nlohmann::ordered_json json_of(const Pooled& pooled) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const auto& row : pooled.rows) {
    rows.push_back({{"variant", row.variant},
                    {"interquartile_mean", row.middle},
                    {"interval", {row.low, row.high}},
                    {"improvement", nullptr}});
    if (!row.improvement) continue;
    rows.back()["improvement"] = {{"probability", *row.improvement},
                                  {"interval", {row.improvement_low, row.improvement_high}}};
  }
  return {{"metric", pooled.metric},
          {"reference", pooled.reference},
          {"data_sets", pooled.data_sets},
          {"rows", rows}};
}

}  // namespace

// One line per variant and metric; a variant without results has one line with the metric empty.
std::string render_csv(const std::vector<ComparisonTable>& tables) {
  const auto number = [](const std::optional<double>& x) {
    return x ? fmt::format("{:.10g}", *x) : std::string();
  };
  std::string out =
      "protocol,variant,metric,n,mean,spread,best,level,pairs,difference,low,high,p_t,p_sign_flip,p_holm,"
      "values,unfinished\n";
  for (const auto& table : tables) {
    for (const auto& row : table.rows) {
      std::string unfinished;
      for (const auto& trial : row.unfinished)
        unfinished += (unfinished.empty() ? "" : "; ") + unfinished_text(row.name, trial);
      const auto line = [&](const std::string& numbers) {
        out += csv_field(table.protocol) + "," + csv_field(row.name) + "," + numbers + "," +
               csv_field(unfinished) + "\n";
      };
      if (row.cells.empty()) line(",0,,,,,,,,,,,,");
      for (const auto& metric : table.metrics) {
        const auto at = row.cells.find(metric);
        if (at == row.cells.end()) continue;
        const TableCell& cell = at->second;
        std::string values;
        for (const auto& [seed, value] : cell.values)
          values += fmt::format("{}{}:{}", values.empty() ? "" : " ", seed, value);
        const std::string spread = cell.values.size() < 2 ? "" : fmt::format("{:.10g}", cell.spread);
        std::string test = ",,,,,,";
        if (cell.test) {
          const PairedTest& t = *cell.test;
          test = fmt::format("{},{},{},{},{},{},{}", t.pairs, t.pairs > 0 ? number(t.difference) : "",
                             number(t.low), number(t.high), number(t.p), number(t.sign_flip), number(t.holm));
        }
        line(fmt::format("{},{},{:.10g},{},{},{},{},{}", csv_field(metric), cell.values.size(), cell.mean,
                         spread, cell.best ? 1 : 0, cell.level ? 1 : 0, test, csv_field(values)));
      }
    }
  }
  return out;
}

std::string render_json(const std::vector<ComparisonTable>& tables) {
  using Json = nlohmann::ordered_json;
  Json out = {{"tables", Json::array()}};
  for (const auto& table : tables) {
    Json rows = Json::array();
    for (const auto& row : table.rows) {
      Json metrics = Json::object();
      for (const auto& metric : table.metrics) {
        const auto at = row.cells.find(metric);
        if (at == row.cells.end()) continue;
        const TableCell& cell = at->second;
        Json values = Json::object();
        for (const auto& [seed, value] : cell.values) values[std::to_string(seed)] = value;
        metrics[metric] = {{"n", cell.values.size()}, {"mean", cell.mean},   {"spread", nullptr},
                           {"best", cell.best},       {"level", cell.level}, {"test", nullptr},
                           {"values", values}};
        if (cell.values.size() > 1) metrics[metric]["spread"] = cell.spread;
        if (cell.test) metrics[metric]["test"] = json_of(*cell.test);
        if (cell.by_samples) {
          metrics[metric]["samples"] = cell.samples;
          metrics[metric]["by_samples"] = {cell.by_samples->low, cell.by_samples->high};
        }
        if (cell.difference_by_samples)
          metrics[metric]["difference_by_samples"] = {cell.difference_by_samples->low,
                                                      cell.difference_by_samples->high};
      }
      Json unfinished = Json::array();
      for (const auto& trial : row.unfinished) {
        unfinished.push_back({{"seed", trial.seed}, {"state", trial.state}, {"reason", trial.reason}});
      }
      rows.push_back({{"variant", row.name},
                      {"baseline", row.baseline},
                      {"n", row.n},
                      {"metrics", metrics},
                      {"unfinished", unfinished}});
      for (const auto& [seed, effort] : row.efforts)
        rows.back()["effort"][std::to_string(seed)] = json_of(effort);
    }
    Json measures = Json::object();
    for (const auto& metric : table.metrics) measures[metric] = json_of(table.measures.at(metric));
    out["tables"].push_back({{"protocol", table.protocol},
                             {"reference", table.reference},
                             {"measures", measures},
                             {"rows", rows},
                             {"notes", nlohmann::ordered_json::array()}});
    for (const auto& note : notes(table)) out["tables"].back()["notes"].push_back(note);
  }
  for (const auto& pooled : pool(tables)) out["across_data_sets"].push_back(json_of(pooled));
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace foil
