// SPDX-License-Identifier: BSD-3-Clause
// Strict JSON in, round-trip exact JSON out.
#include "run/json.h"

#include <foil/error.h>

#include <cmath>
#include <limits>
#include <set>

namespace foil {
namespace {

using nlohmann::json;

constexpr int kDeepest = 100;  // what follows a parse recurses

json with_text_for_non_finite(const json& value) {
  if (value.is_number_float()) {
    const double number = value.get<double>();
    if (std::isnan(number)) return "nan";
    if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
    return value;
  }
  if (!value.is_structured()) return value;
  json copy = value;
  for (json& item : copy) item = with_text_for_non_finite(item);
  return copy;
}

}  // namespace

json parse_json(std::string_view text, const std::string& place) {
  std::vector<std::set<std::string>> keys;  // of the objects that are open, outermost first
  const auto check = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > kDeepest) fail(Exit::data, place, ": nested deeper than ", kDeepest);
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second) {
      fail(Exit::data, place, ": duplicate key ", parsed.dump());
    }
    return true;
  };
  try {
    return json::parse(text, check);
  } catch (const json::exception& error) {
    fail(Exit::data, place, ": not JSON: ", error.what());
  }
}

std::string dump_json(const json& value) { return with_text_for_non_finite(value).dump(); }

double json_number(const json& value) {
  if (value.is_number()) return value.get<double>();
  if (value == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (value == "inf") return std::numeric_limits<double>::infinity();
  if (value == "-inf") return -std::numeric_limits<double>::infinity();
  fail(Exit::data, "got ", value.dump(), ", allowed: a number, \"nan\", \"inf\" or \"-inf\"");
}

}  // namespace foil
