// SPDX-License-Identifier: BSD-3-Clause
// Fields: one list of options feeds the TOML reader, `foil describe`, the schema and the run dump.
#pragma once

#include <foil/error.h>

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace foil {

// The allowed interval of a number. `low` and `high` belong to it unless open; infinity and nan never do.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false;
  bool high_open = false;
  bool contains(double x) const {
    return std::isfinite(x) && (low_open ? x > low : x >= low) && (high_open ? x < high : x <= high);
  }
};
// x > low; x >= low; low <= x <= high; low < x <= high; low <= x < high; any number.
inline Range above(double low) { return {low, std::numeric_limits<double>::infinity(), true, false}; }
inline Range at_least(double low) { return {low, std::numeric_limits<double>::infinity(), false, false}; }
inline Range between(double low, double high) { return {low, high, false, false}; }
inline Range above_up_to(double low, double high) { return {low, high, true, false}; }
inline Range from_below(double low, double high) { return {low, high, false, true}; }
inline Range anything() { return {}; }

// Visits every option of a component once: key, the variable that holds its default and receives its value,
// one-line doc, what is allowed. A struct of options implements `void describe(Fields&)` and calls one of
// these per option; nothing else is ever needed. A visitor that reads throws Error (Exit::usage) with place,
// key, what was got and what is allowed for a value of another type or out of range; what holds between two
// options is checked in the component's constructor. `doc` completes "KEY: ...", without a full stop; keys
// are lower-case words joined by '_'.
class FOIL_API Fields {
 public:
  virtual ~Fields() = default;
  // A number: 0.1, 1e-3, also 1.
  virtual void number(const char* key, double& value, const char* doc, Range allowed = anything()) = 0;
  // A whole number, written without a point.
  virtual void integer(const char* key, int64_t& value, const char* doc, Range allowed = anything()) = 0;
  // true or false.
  virtual void flag(const char* key, bool& value, const char* doc) = 0;
  // One of the texts in `allowed`.
  virtual void choice(const char* key, std::string& value, const std::vector<std::string>& allowed,
                      const char* doc) = 0;
  // The same, kept as the enumerator beside the text: {{"mean", Form::mean}, {"sum", Form::sum}}.
  template <class E, class = std::enable_if_t<std::is_enum_v<E>>>
  void choice(const char* key, E& value, std::initializer_list<std::pair<const char*, E>> allowed,
              const char* doc) {
    std::string text;
    std::vector<std::string> names;
    for (const auto& [name, one] : allowed) {
      names.push_back(name);
      if (one == value) text = name;
    }
    choice(key, text, names, doc);
    for (const auto& [name, one] : allowed)
      if (text == name) value = one;
  }
  // Any text.
  virtual void text(const char* key, std::string& value, const char* doc) = 0;
  // A path in the file system: relative to the file that holds it (to the working directory on the command
  // line); empty = not given.
  virtual void path(const char* key, std::string& value, const char* doc) = 0;
  // Lists, of any length unless the component's constructor says otherwise; `allowed` holds for each element.
  virtual void numbers(const char* key, std::vector<double>& value, const char* doc,
                       Range allowed = anything()) = 0;
  virtual void integers(const char* key, std::vector<int64_t>& value, const char* doc,
                        Range allowed = anything()) = 0;
  virtual void texts(const char* key, std::vector<std::string>& value, const char* doc) = 0;
  // What an option was called before: a reader that meets `before` refuses it and names `now`.
  virtual void renamed(const char* /*before*/, const char* /*now*/) {}
};

}  // namespace foil
