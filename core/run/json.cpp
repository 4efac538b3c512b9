// SPDX-License-Identifier: BSD-3-Clause
// Strict JSON in, round-trip exact JSON out.
#include "run/json.h"

#include "run/text.h"

#include <foil/error.h>

#include <cmath>
#include <limits>
#include <unordered_set>

namespace foil {
namespace {

using nlohmann::json;

constexpr size_t kDeepest = 100;  // what follows a parse recurses
constexpr size_t kLongest = 240;  // of a complaint, which quotes what was read last

// Hears the events of a parse, keeps nothing of the value, and refuses what a parse would accept in silence.
class Guard : public nlohmann::json_sax<json> {
 public:
  explicit Guard(const std::string& place) : place_(place) {}
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return open(); }
  bool start_array(size_t) override { return open(); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (!keys_.back().insert(name).second) fail(Exit::data, place_, ": duplicate key ", json(name).dump());
    return true;
  }
  bool parse_error(size_t, const std::string&, const json::exception& error) override {
    fail(Exit::data, place_, ": not JSON: ", complaint(error));
  }

 private:
  bool open() {
    if (keys_.size() >= kDeepest) fail(Exit::data, place_, ": nested deeper than ", kDeepest);
    keys_.emplace_back();
    return true;
  }
  bool close() {
    keys_.pop_back();
    return true;
  }

  const std::string& place_;
  std::vector<std::unordered_set<std::string>> keys_;  // of what is open, outermost first; none of an array
};

std::string utf8(const std::string& text) { return is_utf8(text) ? text : printable_lines(text); }

// What JSON has no words for, in words.
json in_words(const json& value) {
  if (value.is_number_float()) {
    const double number = value.get<double>();
    if (std::isnan(number)) return "nan";
    if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
    return value;
  }
  if (value.is_string()) return utf8(value.get_ref<const std::string&>());
  if (value.is_array()) {
    json copy = json::array();
    for (const json& item : value) copy.push_back(in_words(item));
    return copy;
  }
  if (!value.is_object()) return value;
  json copy = json::object();
  for (const auto& [key, item] : value.items()) copy[utf8(key)] = in_words(item);
  return copy;
}

}  // namespace

std::string complaint(const json::exception& error) {
  std::string text = error.what();
  if (const size_t end = text.find("] "); text.starts_with("[json.exception") && end != std::string::npos)
    text.erase(0, end + 2);
  if (text.size() > kLongest) text.replace(kLongest, std::string::npos, "...");
  return printable(text);
}

// In two passes: nlohmann's own callback looks at all members of an object anew whenever one of them ends.
json parse_json(std::string_view text, const std::string& place) {
  Guard guard(place);
  try {
    json::sax_parse(text, &guard);
    return json::parse(text);
  } catch (const json::exception& error) {
    fail(Exit::data, place, ": not JSON: ", complaint(error));
  }
}

json parse_json_or_null(std::string_view text) {
  try {
    return parse_json(text, "");
  } catch (const Error&) {
    return nullptr;
  }
}

std::string dump_json(const json& value, int indent) { return in_words(value).dump(indent); }

double json_number(const json& value) {
  if (value.is_number()) return value.get<double>();
  if (value == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (value == "inf") return std::numeric_limits<double>::infinity();
  if (value == "-inf") return -std::numeric_limits<double>::infinity();
  fail(Exit::data, "got ", value.dump(), ", allowed: a number, \"nan\", \"inf\" or \"-inf\"");
}

}  // namespace foil
