// SPDX-License-Identifier: BSD-3-Clause
// Values are compared as the text that TOML has for them; numbers by their value.
#include "program/condition.h"

#include "config/dump.h"
#include "config/load.h"

#include <foil/error.h>

#include <algorithm>
#include <charconv>

namespace foil {
namespace {

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(' ');
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

std::optional<double> number_of(const std::string& toml) {
  double number = 0;
  const char* const end = toml.data() + toml.size();
  const auto [stop, error] = std::from_chars(toml.data(), end, number);
  return error == std::errc() && stop == end ? std::optional(number) : std::nullopt;
}

// "loss.0.name" is "loss.name".
std::string without_indices(const std::string& key) {
  std::string rest = key, out;
  while (!rest.empty()) {
    const size_t dot = std::min(rest.find('.'), rest.size());
    const std::string part = rest.substr(0, dot);
    if (part.find_first_not_of("0123456789") != std::string::npos) out += (out.empty() ? "" : ".") + part;
    rest.erase(0, dot + 1);
  }
  return out;
}

}  // namespace

std::vector<std::string> values_of(const FlatExperiment& experiment, const std::string& key) {
  if (const auto exact = experiment.find(key); exact != experiment.end()) return {exact->second};
  std::vector<std::string> values;
  for (const auto& [name, value] : experiment)
    if (without_indices(name) == key) values.push_back(value);
  return values;
}

Condition::Condition(const std::string& text) : text_(text) {
  const size_t at = text.find_first_of("=!<>"), behind = text.find_first_not_of("=!<>", at);
  if (at != std::string::npos)
    operator_ = text.substr(at, behind == std::string::npos ? behind : behind - at);
  key_ = trimmed(text.substr(0, at));
  const std::string value = behind == std::string::npos ? "" : trimmed(text.substr(behind));
  const std::vector<std::string> known = {"=", "!=", "<", ">"};
  if (key_.empty() || value.empty() || std::find(known.begin(), known.end(), operator_) == known.end()) {
    fail(Exit::usage, "--where ", text,
         ": expected KEY = VALUE, KEY != VALUE, KEY < NUMBER or KEY > NUMBER.");
  }
  value_ = to_toml(argument_value(value, "--where " + text));
  as_text_ = to_toml({value, {}, {}});
  number_ = number_of(value_);
  if ((operator_ == "<" || operator_ == ">") && !number_)
    fail(Exit::usage, "--where ", text, ": got ", value_, " behind ", operator_, ", allowed: a number.");
}

bool Condition::equal(const std::string& value) const {
  if (value == value_ || value == as_text_) return true;
  const std::optional<double> number = number_of(value);
  return number && number_ && *number == *number_;
}

bool Condition::holds(const FlatExperiment& experiment) const {
  const std::vector<std::string> values = values_of(experiment, key_);
  return operator_ == "!=" ? !values.empty() && std::none_of(values.begin(), values.end(),
                                                             [&](const auto& v) { return equal(v); })
                           : std::any_of(values.begin(), values.end(), [&](const std::string& value) {
                               if (operator_ == "=") return equal(value);
                               const std::optional<double> number = number_of(value);
                               return number && (operator_ == "<" ? *number < *number_ : *number > *number_);
                             });
}

}  // namespace foil
