// SPDX-License-Identifier: BSD-3-Clause
// Condition: what `--where` asks of the experiment of a run.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace foil {

// A resolved experiment as dotted keys with their values as TOML (config/dump.h).
using FlatExperiment = std::map<std::string, std::string>;

// The values of a dotted key. Of a list of tables those of all, where the key leaves the index out: of
// "loss.name" the name of every loss.
std::vector<std::string> values_of(const FlatExperiment& experiment, const std::string& key);

class Condition {
 public:
  // "loss.name = dcl", "loss.temperature < 0.2": a dotted key, one of = != < >, and a value as --set takes
  // it. Throws Error (Exit::usage) for anything else, and where < or > is not followed by a number.
  explicit Condition(const std::string& text);

  // Whether a value of the key is so; of != whether there is one and none is equal. Numbers are equal by
  // their value, and a text also to what looks like a number.
  bool holds(const FlatExperiment& experiment) const;

  const std::string& text() const { return text_; }
  const std::string& key() const { return key_; }

 private:
  bool equal(const std::string& value) const;

  std::string text_, key_, operator_;
  std::string value_, as_text_;   // as TOML, and as it stands as a TOML text
  std::optional<double> number_;  // the value, where it is one
};

}  // namespace foil
