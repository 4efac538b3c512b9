// SPDX-License-Identifier: BSD-3-Clause
// Node -> text: TOML that reads back to the same tree, single values for messages, and what differs between
// two trees.
#pragma once

#include "config/node.h"

#include <map>

namespace foil {

// The tree as TOML. Keys with plain values come before the tables of the same table. Numbers are the shortest
// that read back to the same bits. With origins, a comment behind each value says where it came from.
std::string dump(const Node& root, bool with_origins);

// One value as TOML on one line: 0.1, "warm", [1, 2], {name = "dcl"}.
std::string to_toml(const Node& value);
// The same for a message: cut after 60 characters.
std::string shown(const Node& value);
// "a text", "an integer", "a number", "a flag", "a list", "a table".
std::string type_name(const Node& value);
// The shortest text that reads back to the same number: "0.1", "1", "1e-05".
std::string shortest(double number);

// Dotted key -> value as TOML. A list is one value, a list of tables one per key: "loss.temperature", or with
// several "loss.1.temperature".
std::map<std::string, std::string> flatten(const Node& root);

// `now` as a record of it that may be older would hold it: without the keys that nobody gave (their origin is
// "default") and that `record` does not know.
Node as_recorded(const Node& now, const Node& record);

// "loss.temperature: 0.1 -> 0.2" for each key that differs, sorted; a missing value is "(absent)". Ignores
// the keys in `ignored_prefixes` and all below them.
std::vector<std::string> differences(const Node& old_root, const Node& new_root,
                                     const std::vector<std::string>& ignored_prefixes = {});

}  // namespace foil
