// SPDX-License-Identifier: BSD-3-Clause
// Writing TOML. toml++ has a printer, but it sorts the keys, knows no origins and prints numbers with 17
// digits.
#include "config/dump.h"

#include "run/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <set>

namespace foil {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          char code[8];
          std::snprintf(code, sizeof code, "\\u%04X", c);
          out += code;
        } else {
          out += c;
        }
    }
  }
  return out + "\"";
}

std::string key_text(const std::string& key) {
  const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  return bare ? key : quoted(key);
}

// A TOML float: unlike `shortest`, never to be mistaken for an integer.
std::string float_text(double number) {
  const std::string text = shortest(number);
  return text.find_first_of(".ein") == std::string::npos ? text + ".0" : text;
}

bool is_table_list(const Node& node) {
  return node.is_array() && !node.array().empty() &&
         std::all_of(node.array().begin(), node.array().end(),
                     [](const Node& child) { return child.is_table(); });
}

std::string comment(const Origin& origin) {
  const std::string text = printable(origin.text());
  return text.empty() ? "" : "  # " + text;
}

void write_table(std::string& out, const Node& node, const std::string& path, bool with_origins) {
  for (const auto& [key, child] : node.table()) {
    if (child.is_table() || is_table_list(child)) continue;
    out += key_text(key) + " = " + to_toml(child) + (with_origins ? comment(child.origin) : "") + "\n";
  }
  for (const auto& [key, child] : node.table()) {
    const std::string name = path.empty() ? key_text(key) : path + "." + key_text(key);
    const std::string gap = out.empty() ? "" : "\n";
    if (child.is_table()) {
      out += gap + "[" + name + "]\n";
      write_table(out, child, name, with_origins);
    } else if (is_table_list(child)) {
      for (const Node& element : child.array()) {
        out += (out.empty() ? "" : "\n") + ("[[" + name + "]]\n");
        write_table(out, element, name, with_origins);
      }
    }
  }
}

void flatten_into(std::map<std::string, std::string>& out, const Node& node, const std::string& path) {
  if (node.is_table() && !node.table().empty()) {
    for (const auto& [key, child] : node.table())
      flatten_into(out, child, path.empty() ? key : path + "." + key);
  } else if (is_table_list(node)) {
    const Node::Array& list = node.array();
    for (size_t i = 0; i < list.size(); ++i)
      flatten_into(out, list[i], list.size() == 1 ? path : path + "." + std::to_string(i));
  } else if (!path.empty()) {
    out[path] = to_toml(node);
  }
}

}  // namespace

std::string shortest(double number) {
  if (std::isnan(number)) return "nan";
  char buffer[32];
  return std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, number).ptr);
}

std::string to_toml(const Node& value) {
  struct Print {
    std::string operator()(std::monostate) const { return "nothing"; }
    std::string operator()(bool flag) const { return flag ? "true" : "false"; }
    std::string operator()(int64_t integer) const { return std::to_string(integer); }
    std::string operator()(double number) const { return float_text(number); }
    std::string operator()(const std::string& text) const { return quoted(text); }
    std::string operator()(const Node::Array& array) const {
      std::string out = "[";
      for (const Node& child : array) out += (out.size() > 1 ? ", " : "") + to_toml(child);
      return out + "]";
    }
    std::string operator()(const Node::Table& table) const {
      std::string out = "{";
      for (const auto& [key, child] : table)
        out += (out.size() > 1 ? ", " : "") + key_text(key) + " = " + to_toml(child);
      return out + "}";
    }
  };
  return std::visit(Print{}, value.value);
}

std::string shown(const Node& value) {
  const std::string text = to_toml(value);
  if (text.size() <= 60) return text;
  size_t end = 57;
  while ((text[end] & 0xC0) == 0x80) --end;  // not inside a character
  return text.substr(0, end) + "...";
}

std::string type_name(const Node& value) {
  static const char* const names[] = {"nothing", "a flag", "an integer", "a number",
                                      "a text",  "a list", "a table"};
  return names[value.value.index()];
}

std::string dump(const Node& root, bool with_origins) {
  std::string out;
  if (root.is_table()) write_table(out, root, "", with_origins);
  return out;
}

std::map<std::string, std::string> flatten(const Node& root) {
  std::map<std::string, std::string> out;
  flatten_into(out, root, "");
  return out;
}

Node as_recorded(const Node& now, const Node& record) {
  Node kept = now;
  if (kept.is_table()) {
    kept.table().clear();
    for (const auto& [key, child] : now.table()) {
      const Node* const before = record.find(key);
      if (!before && !child.is_table() && child.origin.text() == "default") continue;
      Node held = as_recorded(child, before ? *before : Node());
      if (before || !held.is_table() || !held.table().empty()) kept.set(key, std::move(held));
    }
  } else if (is_table_list(kept)) {
    const bool known = is_table_list(record);
    for (size_t i = 0; i < kept.array().size(); ++i) {
      const bool there = known && i < record.array().size();
      if (there) kept.array()[i] = as_recorded(now.array()[i], record.array()[i]);
    }
  }
  return kept;
}

std::vector<std::string> differences(const Node& old_root, const Node& new_root,
                                     const std::vector<std::string>& ignored_prefixes) {
  const auto before = flatten(old_root), after = flatten(new_root);
  std::set<std::string> keys;
  for (const auto& [key, value] : before) keys.insert(key);
  for (const auto& [key, value] : after) keys.insert(key);
  const auto ignored = [&](const std::string& key) {
    return std::any_of(ignored_prefixes.begin(), ignored_prefixes.end(), [&](const std::string& prefix) {
      return key == prefix || key.starts_with(prefix + ".");
    });
  };
  const auto text = [](const std::map<std::string, std::string>& values, const std::string& key) {
    const auto found = values.find(key);
    return found == values.end() ? "(absent)" : found->second;
  };
  std::vector<std::string> lines;
  for (const std::string& key : keys) {
    const std::string was = text(before, key), is = text(after, key);
    if (was != is && !ignored(key)) lines.push_back(key + ": " + was + " -> " + is);
  }
  return lines;
}

}  // namespace foil
