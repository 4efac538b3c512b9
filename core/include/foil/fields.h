// SPDX-License-Identifier: BSD-3-Clause
// Fields: one list of options feeds the TOML reader, `foil describe`, the schema and the run dump.
#pragma once

#include <foil/error.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace foil {

// The allowed interval of a number. `low` and `high` belong to it unless open.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false;
  bool high_open = false;
  bool contains(double x) const { return (low_open ? x > low : x >= low) && (high_open ? x < high : x <= high); }
};
inline Range above(double low) { return {low, std::numeric_limits<double>::infinity(), true, false}; }
inline Range at_least(double low) { return {low, std::numeric_limits<double>::infinity(), false, false}; }
inline Range between(double low, double high) { return {low, high, false, false}; }
inline Range anything() { return {}; }

// Visits every option of a component once: key, the variable that holds its default and receives its value, one-line doc, what is
// allowed. A struct of options implements `void describe(Fields&)` and calls one of these per option; nothing else is ever needed.
class FOIL_API Fields {
 public:
  virtual ~Fields() = default;
  virtual void number(const char* key, double& value, const char* doc, Range allowed = anything()) = 0;
  virtual void integer(const char* key, int64_t& value, const char* doc, Range allowed = anything()) = 0;
  virtual void flag(const char* key, bool& value, const char* doc) = 0;
  virtual void choice(const char* key, std::string& value, const std::vector<std::string>& allowed, const char* doc) = 0;
  virtual void text(const char* key, std::string& value, const char* doc) = 0;
  // A path in the file system: relative to the file that holds it (to the working directory on the command line); empty = not
  // given.
  virtual void path(const char* key, std::string& value, const char* doc) = 0;
  virtual void numbers(const char* key, std::vector<double>& value, const char* doc, Range allowed = anything()) = 0;
  virtual void integers(const char* key, std::vector<int64_t>& value, const char* doc, Range allowed = anything()) = 0;
  virtual void texts(const char* key, std::vector<std::string>& value, const char* doc) = 0;
};

}  // namespace foil
