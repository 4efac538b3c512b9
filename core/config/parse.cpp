// SPDX-License-Identifier: BSD-3-Clause
// The only file that sees toml++. Its tables are sorted by key and its copies lose their places, hence the conversion to a tree of
// our own.
#include "config/parse.h"

#include <foil/error.h>
#include <toml++/toml.h>

#include <algorithm>

namespace foil {
namespace {

Origin place(const toml::source_region& source, const std::string& file) {
  return {file, static_cast<int>(source.begin.line), static_cast<int>(source.begin.column)};
}

Node convert(const toml::node& from, const std::string& file) {
  Node to;
  to.origin = place(from.source(), file);
  if (const toml::table* table = from.as_table()) {
    to.value = Node::Table{};
    for (const auto& [key, child] : *table) {
      Node node = convert(child, file);
      node.key_origin = place(key.source(), file);
      to.set(key.str(), std::move(node));
    }
    std::stable_sort(to.table().begin(), to.table().end(), [](const auto& a, const auto& b) {
      const Origin &x = a.second.key_origin, &y = b.second.key_origin;
      return std::pair(x.line, x.column) < std::pair(y.line, y.column);
    });
  } else if (const toml::array* array = from.as_array()) {
    to.value = Node::Array{};
    for (const toml::node& child : *array) to.array().push_back(convert(child, file));
  } else if (const auto* text = from.as_string()) {
    to.value = text->get();
  } else if (const auto* integer = from.as_integer()) {
    to.value = integer->get();
  } else if (const auto* number = from.as_floating_point()) {
    to.value = number->get();
  } else if (const auto* flag = from.as_boolean()) {
    to.value = flag->get();
  } else {
    fail(Exit::usage, to.origin.text(),
         ": a date or time, allowed: a number, a text, true or false, a list, a table. Put it in quotes.");
  }
  return to;
}

}  // namespace

Node parse_toml(std::string_view text, const std::string& file) {
  try {
    return convert(toml::parse(text, file), file);
  } catch (const toml::parse_error& error) {
    fail(Exit::usage, place(error.source(), file).text(), ": not valid TOML: ", error.description(), ".");
  }
}

}  // namespace foil
