// SPDX-License-Identifier: BSD-3-Clause
// The options of a component as its describe() states them, and the option sets under which it is tested.
#pragma once

#include "config/reader.h"

#include <foil/component.h>

#include <string>
#include <vector>

namespace foil::conformance {

struct Option {
  std::string key, doc;
  std::string allowed;  // in words: "a number > 0"
  Node default_value;
  bool default_allowed = true;
  bool is_switch = false;  // a choice or a flag
  bool is_long = false;    // an integer with a large default
  std::vector<Node>
      others;  // allowed values beside the default: each choice, the other flag, both ends of the range
  std::vector<Node> refused;  // values that are not
};

// The options in the order of describe(). The ends of a range: a closed end itself; 0.001 inside an open one;
// where there is no end, 1000 for a number and 64, or twice the default, for an integer.
std::vector<Option> options_of(const Component& component);

struct OptionSet {
  std::string text;  // "default", "temperature = 0.001, weighting = "none""
  Node table;
};

// The largest number of an option set, or the inverse of the smallest, at least 1: what it multiplies or
// divides rounds at that size.
double magnitude(const OptionSet& set);

// The table in which an experiment chooses it: "loss", "encoder", "augment", "data", "sampler".
std::string table_name(const Component& component);

// The component made with these options; throws Error as the reading of an experiment does.
template <class Interface>
std::shared_ptr<Interface> make(const Component& component, const OptionSet& set) {
  TableReader described(&set.table, table_name(component)), reader(&set.table, table_name(component));
  component.describe(described);
  described.finish();  // first: a constructor may open files
  return std::static_pointer_cast<Interface>(component.make(reader));
}

// An integer whose default is above 256 (a queue's length) is 64 wherever it is not given, but for `plain`:
// for the sake of time.
constexpr int64_t kShort = 64;
struct OptionSets {
  OptionSet plain;  // nothing given
  std::vector<OptionSet>
      single;  // the default, then each option at each of its other values, then the declared samples
  std::vector<OptionSet>
      paired;  // each choice and flag with each other value of every other option; at most 64, evenly picked
  std::vector<std::string> refused;  // what the constructor said to a single set whose value is allowed
};
// `given`: a table of options that every set has, and none varies.
OptionSets option_sets(const Component& component, const Node& given = {});

}  // namespace foil::conformance
