// SPDX-License-Identifier: BSD-3-Clause
// How one experiment changes another: a file that extends a base, a value from --set or from a sweep.
#pragma once

#include "config/node.h"

namespace foil {

// Lays `from` over `into`: tables merge key by key, everything else (lists too) replaces. Each value keeps
// its own origin.
void merge(Node& into, Node from);

// Sets the value at a dotted key (paths as in at_path), creating the tables on the way. Throws foil::Error
// (usage) at the origin of `value` when the way leads through what is no table, past the end of a list, or
// through a list of several without an index.
void override_value(Node& root, std::string_view key, Node value);

// The key that `key` replaces when it is overridden ("run.steps" and "run.epochs" replace each other); empty
// for the others.
std::string_view rival(std::string_view key);

}  // namespace foil
