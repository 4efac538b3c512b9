// SPDX-License-Identifier: BSD-3-Clause
// Options in words: what they allow, and the table of `foil describe`.
#include "config/allowed.h"
#include "config/dump.h"
#include "config/reader.h"

#include <algorithm>
#include <cmath>

namespace foil {
namespace {

// 1000000 rather than 1e+06.
std::string digits(double bound) {
  const bool whole = std::abs(bound) < 1e15 && bound == std::floor(bound);
  return whole ? std::to_string(static_cast<int64_t>(bound)) : shortest(bound);
}

// " > 0", " from 1 to 5", " >= 0 and < 1"; empty for any number.
std::string bounds(const Range& range) {
  const std::string low = (range.low_open ? " > " : " >= ") + digits(range.low);
  const std::string high = (range.high_open ? " < " : " <= ") + digits(range.high);
  const bool endless = range.high >= any_seed().high;
  if (std::isinf(range.low) && endless) return "";
  if (endless) return low;
  if (std::isinf(range.low)) return high;
  if (range.low_open || range.high_open) return low + " and" + high;
  return " from " + digits(range.low) + " to " + digits(range.high);
}

// Notes every option that it visits.
class Describer : public Fields {
 public:
  std::vector<FieldDoc> rows;

  void number(const char* key, double& value, const char* doc, Range allowed) override {
    add(key, "number", {value, {}, {}}, allowed_number(allowed), doc);
  }
  void integer(const char* key, int64_t& value, const char* doc, Range allowed) override {
    add(key, "integer", {value, {}, {}}, allowed_integer(allowed), doc);
  }
  void flag(const char* key, bool& value, const char* doc) override {
    add(key, "flag", {value, {}, {}}, allowed_flag, doc);
  }
  void choice(const char* key, std::string& value, const std::vector<std::string>& allowed,
              const char* doc) override {
    add(key, "choice", {value, {}, {}}, allowed_choice(allowed), doc);
  }
  void text(const char* key, std::string& value, const char* doc) override {
    add(key, "text", {value, {}, {}}, allowed_text, doc);
  }
  void path(const char* key, std::string& value, const char* doc) override {
    add(key, "path", {value, {}, {}}, allowed_path, doc);
  }
  void numbers(const char* key, std::vector<double>& value, const char* doc, Range allowed) override {
    add(key, "numbers", list_node(value), allowed_numbers(allowed), doc);
  }
  void integers(const char* key, std::vector<int64_t>& value, const char* doc, Range allowed) override {
    add(key, "integers", list_node(value), allowed_integers(allowed), doc);
  }
  void texts(const char* key, std::vector<std::string>& value, const char* doc) override {
    add(key, "texts", list_node(value), allowed_texts, doc);
  }

 private:
  void add(const char* key, const char* type, const Node& value, const std::string& allowed,
           const char* doc) {
    rows.push_back({key, type, to_toml(value), allowed, doc});
  }
};

}  // namespace

Range integers(const Range& range) {
  constexpr double kMost = 1e9;
  Range ended = range;
  if (std::isinf(range.low)) ended.low = -kMost;
  if (std::isinf(range.high)) ended.high = kMost;
  return ended;
}

std::string allowed_number(const Range& range) { return "a number" + bounds(range); }
std::string allowed_integer(const Range& range) { return "an integer" + bounds(range); }
std::string allowed_numbers(const Range& range) { return "a list of numbers" + bounds(range); }
std::string allowed_integers(const Range& range) { return "a list of integers" + bounds(range); }

std::string allowed_choice(const std::vector<std::string>& choices) {
  std::string text;
  for (const std::string& choice : choices) text += (text.empty() ? "" : ", ") + to_toml({choice, {}, {}});
  return text;
}

std::vector<FieldDoc> describe(const std::function<void(Fields&)>& visit) {
  Describer describer;
  visit(describer);
  return describer.rows;
}

std::string describe_text(const std::vector<FieldDoc>& rows) {
  std::vector<FieldDoc> lines = {{"key", "", "default", "allowed", "meaning"}};
  lines.insert(lines.end(), rows.begin(), rows.end());
  const auto width = [&](std::string FieldDoc::*column) {
    size_t widest = 0;
    for (const FieldDoc& line : lines) widest = std::max(widest, (line.*column).size());
    return widest + 2;
  };
  std::string text;
  for (const FieldDoc& line : lines) {
    for (std::string FieldDoc::*column : {&FieldDoc::key, &FieldDoc::default_value, &FieldDoc::allowed}) {
      text += line.*column + std::string(width(column) - (line.*column).size(), ' ');
    }
    text += line.doc + "\n";
  }
  return text;
}

}  // namespace foil
