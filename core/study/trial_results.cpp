// SPDX-License-Identifier: BSD-3-Clause
// Reads what a run left in its folder.
#include "study/trial_results.h"

#include "run/file.h"
#include "run/json.h"
#include "run/text.h"

#include <foil/error.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

namespace foil {
namespace {

std::optional<double> finite_number(const nlohmann::json& object, const std::string& key) {
  const auto value = object.find(key);
  if (value == object.end() || !value->is_number()) return std::nullopt;
  const auto number = value->get<double>();
  return std::isfinite(number) ? std::optional(number) : std::nullopt;
}

void read_measured(TrialResults& results, const nlohmann::json& measured, const std::string& place) {
  if (!measured.is_object()) fail(Exit::data, place, ": not the results of a run: measured is no object");
  for (const auto& [key, entry] : measured.items()) {
    try {
      const auto measure = measure_of(entry);
      if (!measure) continue;
      const std::string metric = metric_of(key, entry);
      results.measures[metric] = *measure;
      if (entry.contains("curve")) entry.at("curve").get_to(results.roc[metric]);
      if (entry.contains("confusion")) entry.at("confusion").get_to(results.confusion[metric]);
    } catch (const Error& error) {
      fail(Exit::data, place, ": not the results of a run: of ", printable(key), " ", error.what());
    }
  }
}

// Means over `bucket` neighbours.
Curve thinned(const Curve& points, size_t bucket) {
  Curve means;
  for (size_t begin = 0; begin < points.size(); begin += bucket) {
    const size_t end = std::min(begin + bucket, points.size());
    double step = 0, value = 0;
    for (size_t i = begin; i < end; ++i) {
      step += points[i].first;
      value += points[i].second;
    }
    const auto count = static_cast<double>(end - begin);
    means.emplace_back(step / count, value / count);
  }
  return means;
}

}  // namespace

TrialResults parse_results(const std::string& text, const std::string& place) {
  try {
    const auto json = parse_json(text, place);
    TrialResults results;
    results.protocol = json.at("protocol").get<std::string>();
    const auto& metrics = json.at("metrics");
    if (!metrics.is_object()) fail(Exit::data, place, ": not the results of a run: metrics is no object");
    for (const auto& [name, value] : metrics.items()) {
      if (const auto number = finite_number(metrics, name)) results.metrics[name] = *number;
    }
    if (const auto measured = json.find("measured"); measured != json.end())
      read_measured(results, *measured, place);
    results.step = json.value("step", int64_t{0});
    results.data = json.value("data", "");
    return results;
  } catch (const nlohmann::json::exception& error) {
    fail(Exit::data, place, ": not the results of a run: ", complaint(error));
  }
}

Measure measure_in(const TrialResults& results, const std::string& metric) {
  const auto told = results.measures.find(metric);
  return told == results.measures.end() ? measure_of_old(metric) : told->second;
}

std::string read_results(const std::string& folder) {
  const std::string path = folder + "/results.json", text = read_text(path).value_or("");
  if (text.empty()) fail(Exit::failure, path, ": missing after the trial ended");
  parse_results(text, path);
  return text;
}

std::optional<std::string> read_text(const std::string& path) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  return read_record(path);
}

std::map<std::string, Curve> read_curves(const std::string& folder, size_t limit) {
  const std::string path = folder + "/metrics.jsonl";
  std::map<std::string, Curve> curves;
  if (!std::filesystem::is_regular_file(path)) return curves;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const auto row = parse_json_or_null(line);
    if (!row.is_object()) continue;
    const auto step = finite_number(row, "step");
    if (!step) continue;
    for (const auto& [key, ignored] : row.items()) {
      if (const auto value = finite_number(row, key)) curves[key].emplace_back(*step, *value);
    }
  }
  for (auto& [key, curve] : curves) {
    const size_t bucket = (curve.size() + limit - 1) / limit;
    if (bucket > 1) curve = thinned(curve, bucket);
  }
  return curves;
}

}  // namespace foil
