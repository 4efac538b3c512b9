// SPDX-License-Identifier: BSD-3-Clause
// Reads what a run left in its folder.
#include "study/results.h"

#include <cmath>
#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>
#include <foil/error.h>

namespace foil {
namespace {

// A file that another process may be writing, or was killed while writing: what does not parse counts as absent.
nlohmann::json lenient(const std::string& text) { return nlohmann::json::parse(text, nullptr, false); }

std::optional<double> finite_number(const nlohmann::json& object, const std::string& key) {
  const auto value = object.find(key);
  if (value == object.end() || !value->is_number()) return std::nullopt;
  const auto number = value->get<double>();
  return std::isfinite(number) ? std::optional(number) : std::nullopt;
}

}  // namespace

TrialResults parse_results(const std::string& text, const std::string& place) {
  try {
    const auto json = nlohmann::json::parse(text);
    TrialResults results;
    results.protocol = json.at("protocol").get<std::string>();
    for (const auto& [name, value] : json.at("metrics").items()) {
      if (const auto number = finite_number(json.at("metrics"), name)) results.metrics[name] = *number;
    }
    results.step = json.value("step", int64_t{0});
    return results;
  } catch (const nlohmann::json::exception& error) {
    fail(Exit::data, place, ": not the results of a run: ", error.what());
  }
}

std::optional<std::string> read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TrialStatus read_trial_status(const std::string& folder) {
  const auto json = lenient(read_text(folder + "/status").value_or(""));
  TrialStatus status;
  if (!json.is_object()) return status;
  const auto text = [&](const char* key) {
    const auto value = json.find(key);
    return value != json.end() && value->is_string() ? value->get<std::string>() : std::string();
  };
  status.state = text("state");
  status.reason = text("reason");
  status.step = static_cast<int64_t>(finite_number(json, "step").value_or(0));
  return status;
}

std::vector<std::pair<double, double>> read_curve(const std::string& folder, const std::string& key, size_t limit) {
  std::ifstream file(folder + "/metrics.jsonl");
  std::vector<std::pair<double, double>> points;
  for (std::string line; std::getline(file, line);) {
    const auto row = lenient(line);
    if (!row.is_object()) continue;
    const auto step = finite_number(row, "step"), value = finite_number(row, key);
    if (step && value) points.emplace_back(*step, *value);
  }
  const size_t bucket = (points.size() + limit - 1) / limit;
  if (bucket <= 1) return points;
  std::vector<std::pair<double, double>> thinned;
  for (size_t begin = 0; begin < points.size(); begin += bucket) {
    const size_t end = std::min(begin + bucket, points.size());
    double step = 0, value = 0;
    for (size_t i = begin; i < end; ++i) {
      step += points[i].first;
      value += points[i].second;
    }
    const auto count = static_cast<double>(end - begin);
    thinned.emplace_back(step / count, value / count);
  }
  return thinned;
}

}  // namespace foil
