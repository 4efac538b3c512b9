// SPDX-License-Identifier: BSD-3-Clause
// Node: an experiment as a tree whose values remember where they were written. It knows nothing of TOML or of
// what is allowed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace foil {

// Where a value was written: a place in a file, or, with line 0, a word: "default", or "--set" with its
// argument.
struct Origin {
  std::string file;
  int line = 0;
  int column = 0;
  std::string text() const;  // "path:3:15", or just the word
  bool in_file() const { return line > 0; }
};

struct Node {
  using Array = std::vector<Node>;
  using Table = std::vector<std::pair<std::string, Node>>;  // in file order, keys unique

  std::variant<std::monostate, bool, int64_t, double, std::string, Array, Table> value;
  Origin origin;      // of the value
  Origin key_origin;  // of the key that holds it

  bool is_flag() const { return std::holds_alternative<bool>(value); }
  bool is_integer() const { return std::holds_alternative<int64_t>(value); }
  bool is_number() const { return is_integer() || std::holds_alternative<double>(value); }
  bool is_text() const { return std::holds_alternative<std::string>(value); }
  bool is_array() const { return std::holds_alternative<Array>(value); }
  bool is_table() const { return std::holds_alternative<Table>(value); }

  // The value as one of its types; std::bad_variant_access when it is of another.
  bool flag() const { return std::get<bool>(value); }
  int64_t integer() const { return std::get<int64_t>(value); }
  double number() const { return is_integer() ? static_cast<double>(integer()) : std::get<double>(value); }
  const std::string& text() const { return std::get<std::string>(value); }
  const Array& array() const { return std::get<Array>(value); }
  Array& array() { return std::get<Array>(value); }
  const Table& table() const { return std::get<Table>(value); }
  Table& table() { return std::get<Table>(value); }

  // The value of a key of this table; null when there is none or this is not a table.
  const Node* find(std::string_view key) const;
  Node* find(std::string_view key);
  // Gives a key a value, in its old place or at the end. An empty node becomes a table.
  Node& set(std::string_view key, Node node);
  void erase(std::string_view key);
};

// A list of values of one type, without origins.
template <class T>
Node list_node(const std::vector<T>& values) {
  Node::Array list;
  for (const T& value : values) list.push_back({value, {}, {}});
  return {list, {}, {}};
}

// The node at a dotted path such as "loss.temperature"; null when there is none. Elements of arrays count
// from 0 ("loss.1.weight"); on the way through an array with one table the index may be left out. A key that
// itself holds dots is found by its full name.
const Node* at_path(const Node& root, std::string_view path);
Node* at_path(Node& root, std::string_view path);

// The first part of a dotted path, cut off it.
std::string_view take_head(std::string_view& path);
// The element of `array` that `head` names: by index, or the only table of the array (then `head` is not used
// up); null otherwise.
Node* element(Node& array, std::string_view head, bool& used);

}  // namespace foil
