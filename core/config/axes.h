// SPDX-License-Identifier: BSD-3-Clause
// The lists of a [sweep]: grid, zip, ablate and random as axes. What becomes of their product is sweep.h.
#pragma once

#include "config/node.h"

#include <memory>

namespace foil {

// A swept key and one of its values.
struct Setting {
  std::string key;
  const Node* value;
};
using Settings = std::vector<Setting>;

// One list of things to try.
struct Axis {
  std::vector<Settings> rows;
  Origin origin;
  bool around_base = false;                             // the first row sets nothing, each other one key
  std::shared_ptr<const std::vector<Node>> drawn = {};  // values that no file holds
};

// The axes of [sweep]: of grid one for each key; of zip, ablate and random one each. `root` is the experiment
// that ablate goes around: a value that it has already is no row. Throws foil::Error (usage) at the place in
// the file for what is no list, is empty, lists a value twice, or is no key to sweep.
std::vector<Axis> axes_of(const Node& root, const Node* grid, const Node* zip, const Node* ablate,
                          const Node* random);

// The keys of an axis in the order in which they first appear.
std::vector<std::string> keys_of(const Axis& axis);

// Combinations that are left out: a list of tables, each of keys with the value that they have in it.
class Exclusion {
 public:
  // `keys`: those that are swept. Throws foil::Error (usage) for another key, and what is no list of tables.
  Exclusion(const Node* list, const std::vector<std::string>& keys);
  // Whether a combination has all the values of one of the tables.
  bool excludes(const Settings& combination);
  // Throws foil::Error (usage) at the place of a table that no combination has matched.
  void refuse_idle() const;

 private:
  struct Table {
    std::vector<std::pair<std::string, const Node*>> values;
    Origin origin;
    bool met = false;
  };
  std::vector<Table> tables_;
};

// Whether the command line fixes `key`: it names the key, a table above it, or the key that replaces it.
bool fixed(const Node& root, std::string_view key, const std::vector<std::string>& set_keys);

// Gives the fixed keys of an axis the value that `root` holds, drops them when it holds none, and keeps one
// of equal rows.
void settle(Axis& axis, const Node& root, const std::vector<std::string>& set_keys);

}  // namespace foil
