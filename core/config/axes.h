// SPDX-License-Identifier: BSD-3-Clause
// The lists of a [sweep]: grid and zip as axes. What becomes of their product is sweep.h.
#pragma once

#include "config/node.h"

namespace foil {

// One list of things to try: `rows[r][k]` is the value of `keys[k]` in row r.
struct Axis {
  std::vector<std::string> keys;
  std::vector<std::vector<const Node*>> rows;
  Origin origin;
};

// The axes of [sweep] grid, a key each, and zip, all its keys together. Throws foil::Error (usage) at the
// place in the file for what is no list, is empty, lists a value twice, or is no key to sweep.
std::vector<Axis> axes_of(const Node* grid_table, const Node* zip_table);

// Whether the command line fixes `key`: it names the key, a table above it, or the key that replaces it.
bool fixed(const Node& root, std::string_view key, const std::vector<std::string>& set_keys);

// Gives the fixed keys of an axis the value that `root` holds, drops them when it holds none, and keeps one
// of equal rows.
void settle(Axis& axis, const Node& root, const std::vector<std::string>& set_keys);

}  // namespace foil
