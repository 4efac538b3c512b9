// SPDX-License-Identifier: BSD-3-Clause
// TOML text -> Node, every key and value with its place. One text only: it neither follows `extends` nor
// touches the file system.
#pragma once

#include "config/node.h"

namespace foil {

// Of any tree, read or put together: the keys of a table, which are searched one by one, and the parts of a
// dotted key, as deep as what walks a tree recurses.
constexpr size_t kMostKeys = 10'000;
constexpr int kMostParts = 32;

// `file` is the name in origins and messages. Throws foil::Error (usage) at the place of the first syntax
// error, and for a date or time, which no option takes.
Node parse_toml(std::string_view text, const std::string& file);

}  // namespace foil
