// SPDX-License-Identifier: BSD-3-Clause
// A measure as JSON and as text, and what is known of records that say nothing of theirs.
#include "evaluate/measure.h"

#include "run/text.h"

#include <foil/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace foil {
namespace {

const std::vector<std::string> kBetter = {"neither", "higher", "lower"};  // as enumerated

int64_t whole_number(const nlohmann::json& entry, const char* key, int64_t high) {
  const nlohmann::json& value = entry.at(key);
  const int64_t number = value.is_number_integer() ? value.get<int64_t>() : -1;
  if (number < 0 || number > high)
    fail(Exit::data, key, " is ", printable(value.dump().substr(0, 40)), ", allowed: an integer from 0 to ",
         high);
  return number;
}

}  // namespace

nlohmann::json json_of(const Measure& measure) {
  nlohmann::json told = {{"title", measure.title},
                         {"unit", measure.unit},
                         {"digits", measure.digits},
                         {"better", kBetter[static_cast<size_t>(measure.better)]}};
  if (measure.headline) told.update({{"headline", true}, {"column", measure.column}});
  return told;
}

nlohmann::json entry_of(const Measure& measure, double value, const std::string& protocol) {
  nlohmann::json entry = json_of(measure);
  entry.update({{"value", value}, {"protocol", protocol}});
  return entry;
}

std::string metric_of(const std::string& key, const nlohmann::json& entry) {
  return entry.value("metric", key);
}

std::optional<Measure> measure_of(const nlohmann::json& entry) {
  if (!entry.is_object() || !entry.contains("title")) return {};
  Measure measure;
  measure.title = entry.at("title").get<std::string>();
  measure.unit = entry.value("unit", "");
  measure.digits = whole_number(entry, "digits", 15);
  const std::string better = entry.at("better").get<std::string>();
  const auto at = std::find(kBetter.begin(), kBetter.end(), better);
  if (at == kBetter.end()) {
    fail(Exit::data, "better is '", printable(better), "'.", known_names("directions", better, kBetter));
  }
  measure.better = static_cast<Better>(at - kBetter.begin());
  measure.headline = entry.value("headline", false);
  if (measure.headline) measure.column = whole_number(entry, "column", std::numeric_limits<int32_t>::max());
  return measure;
}

Measure measure_of_old(const std::string& metric) {
  static const std::vector<std::pair<std::string, std::string>> kPercentages = {
      {"knn", "kNN"},
      {"linear", "linear"},
      {"knn_many", "kNN many"},
      {"knn_medium", "kNN medium"},
      {"knn_few", "kNN few"},
      {"linear_many", "linear many"},
      {"linear_medium", "linear medium"},
      {"linear_few", "linear few"},
  };
  const auto at = std::find_if(kPercentages.begin(), kPercentages.end(),
                               [&](const auto& known) { return known.first == metric; });
  Measure measure;
  measure.title = metric;
  if (at == kPercentages.end()) return measure;
  return {at->second, "%", 1, Better::higher, true, at - kPercentages.begin() + 1};
}

bool is_better(const Measure& measure, double a, double b) {
  if (measure.better == Better::neither) return false;
  return measure.better == Better::higher ? a > b : a < b;
}

std::string heading(const Measure& measure) {
  std::string text = printable(measure.title);
  if (!measure.unit.empty()) text += " " + printable(measure.unit);
  return measure.better == Better::lower ? text + " ↓" : text;
}

std::string value_text(const Measure& measure, double value) {
  return fmt::format("{:.{}f}", value, measure.digits);
}

std::string difference_text(const Measure& measure, double value) {
  return fmt::format("{:+.{}f}", value, measure.digits);
}

}  // namespace foil
