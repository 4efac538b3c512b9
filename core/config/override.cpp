// SPDX-License-Identifier: BSD-3-Clause
// Merging trees and setting single values in them.
#include "config/override.h"

#include "config/dump.h"
#include "config/parse.h"

#include <foil/error.h>

#include <algorithm>

namespace foil {
namespace {

void lay_over(Node& into, Node from) {
  if (!into.is_table() || !from.is_table()) {
    into = std::move(from);
    return;
  }
  into.origin = from.origin;
  into.key_origin = from.key_origin;
  for (auto& [key, value] : from.table()) {
    if (Node* old = into.find(key)) {
      lay_over(*old, std::move(value));
    } else {
      into.table().emplace_back(key, std::move(value));
    }
    if (into.table().size() > kMostKeys) {
      fail(Exit::usage, into.origin.text(), ": a table of more than ", kMostKeys,
           " keys, with those of the files that it extends.");
    }
  }
}

// Replaces `old`; a table given for a list with one table replaces that table, as paths leave the index out.
void replace(Node& old, Node value) {
  const bool only =
      old.is_array() && old.array().size() == 1 && old.array()[0].is_table() && value.is_table();
  (only ? old.array()[0] : old) = std::move(value);
}

[[noreturn]] void no_way(const std::string& place, const std::string& walked, const Node& node) {
  if (!node.is_array()) fail(Exit::usage, place, ": ", walked, " is ", type_name(node), ", not a table.");
  const size_t size = node.array().size();
  if (size == 0) fail(Exit::usage, place, ": ", walked, " is an empty list.");
  fail(Exit::usage, place, ": ", walked, " has ", size, size == 1 ? " element" : " elements",
       ", allowed: ", walked, ".0", size == 1 ? "." : " to " + walked + "." + std::to_string(size - 1) + ".");
}

}  // namespace

std::string_view rival(std::string_view key) {
  if (key == "run.steps") return "run.epochs";
  if (key == "run.epochs") return "run.steps";
  return {};
}

void merge(Node& into, Node from) {
  for (const char* key : {"run.steps", "run.epochs"}) {
    const std::string_view other = rival(key);
    if (Node* run = into.find("run"); run && at_path(from, key) && !at_path(from, other))
      run->erase(other.substr(4));
  }
  lay_over(into, std::move(from));
}

void override_value(Node& root, std::string_view key, Node value) {
  const std::string place = value.origin.text();
  value.key_origin = value.origin;
  if (std::count(key.begin(), key.end(), '.') >= kMostParts) {
    fail(Exit::usage, place, ": a key of more than ", kMostParts, " parts, allowed: at most ", kMostParts,
         ".");
  }
  if (const std::string_view other = rival(key); !other.empty()) {
    if (Node* run = root.find("run")) run->erase(other.substr(4));
  }
  Node* node = &root;
  for (std::string_view rest = key; !rest.empty();) {
    const std::string walked(key.substr(0, key.size() - rest.size() - (rest.size() < key.size())));
    if (Node* whole = node->find(rest)) return replace(*whole, std::move(value));
    std::string_view next = rest;
    const std::string_view head = take_head(next);
    if (node->is_array()) {
      bool used = true;
      Node* child = element(*node, head, used);
      if (!child) no_way(place, walked, *node);
      node = child;
      if (!used) continue;
    } else if (node->is_table()) {
      Node* child = node->find(head);
      if (!child) {
        Node table;
        table.value = Node::Table{};
        table.origin = table.key_origin = value.origin;
        child = &node->set(head, std::move(table));
      }
      node = child;
    } else {
      no_way(place, walked, *node);
    }
    rest = next;
  }
  *node = std::move(value);
}

}  // namespace foil
