// SPDX-License-Identifier: BSD-3-Clause
// What a measure says of its number. It is said once, where the number is measured; results.json carries it
// beside the value, and tables, plots and reports read that.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace foil {

enum class Better { neither, higher, lower };

struct Measure {
  std::string title;                // heads a column, without the unit: "kNN", "MRR"
  std::string unit;                 // "%"; empty: none
  int64_t digits = 3;               // after the point, 0 to 15
  Better better = Better::neither;  // neither: a diagnosis, of which no value is best
  bool headline = false;            // whether it is a column of the printed tables
  int64_t column = 0;               // orders the headline measures, the lowest first
};

// An entry of "measured" in results.json: {"value", "protocol", "title", "unit", "digits", "better"}, of a
// headline measure also {"headline": true, "column"}. Measuring (measuring.h) adds what else there is.
nlohmann::json entry_of(const Measure& measure, double value, const std::string& protocol);
// The same without value and protocol.
nlohmann::json json_of(const Measure& measure);
// The name under which an entry stands in "metrics" of results.json: "knn" for "features.knn".
std::string metric_of(const std::string& key, const nlohmann::json& entry);

// What an entry says of its measure; nothing where it has no title. Throws Error (Exit::data) naming the
// field that is out of range, nlohmann::json::exception for one of another type.
std::optional<Measure> measure_of(const nlohmann::json& entry);
// What is known of a metric whose record says nothing: kNN and the linear probe are percentages and headline
// measures, anything else is a diagnosis under its own name.
Measure measure_of_old(const std::string& metric);

// Whether a is better than b; never for a diagnosis.
bool is_better(const Measure& measure, double a, double b);
// What heads its column, fit to be shown: "kNN %", "MRR", and where lower is better "error % ↓".
std::string heading(const Measure& measure);
std::string value_text(const Measure& measure, double value);       // "84.5", "0.784"
std::string difference_text(const Measure& measure, double value);  // "+0.3", "-0.012"

}  // namespace foil
