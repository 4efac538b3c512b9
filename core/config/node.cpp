// SPDX-License-Identifier: BSD-3-Clause
// Finding and setting the nodes of an experiment tree.
#include "config/node.h"

#include <algorithm>
#include <charconv>

namespace foil {

std::string Origin::text() const {
  return in_file() ? file + ":" + std::to_string(line) + ":" + std::to_string(column) : file;
}

const Node* Node::find(std::string_view key) const {
  if (!is_table()) return nullptr;
  for (const auto& [name, node] : table()) {
    if (name == key) return &node;
  }
  return nullptr;
}

Node* Node::find(std::string_view key) { return const_cast<Node*>(std::as_const(*this).find(key)); }

Node& Node::set(std::string_view key, Node node) {
  if (std::holds_alternative<std::monostate>(value)) value = Table{};
  if (Node* old = find(key)) return *old = std::move(node);
  return table().emplace_back(key, std::move(node)).second;
}

void Node::erase(std::string_view key) {
  if (is_table()) std::erase_if(table(), [&](const auto& entry) { return entry.first == key; });
}

std::string_view take_head(std::string_view& path) {
  const size_t dot = path.find('.');
  const std::string_view head = path.substr(0, dot);
  path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
  return head;
}

Node* element(Node& array, std::string_view head, bool& used) {
  Node::Array& elements = array.array();
  size_t index = 0;
  const auto [end, error] = std::from_chars(head.data(), head.data() + head.size(), index);
  used = error == std::errc() && end == head.data() + head.size();
  if (used) return index < elements.size() ? &elements[index] : nullptr;
  return elements.size() == 1 && elements[0].is_table() ? &elements[0] : nullptr;
}

Node* at_path(Node& root, std::string_view path) {
  Node* node = &root;
  while (node && !path.empty()) {
    if (Node* whole = node->find(path)) return whole;
    std::string_view rest = path;
    const std::string_view head = take_head(rest);
    bool used = true;
    node = node->is_array() ? element(*node, head, used) : node->find(head);
    if (used) path = rest;
  }
  return node;
}

const Node* at_path(const Node& root, std::string_view path) {
  return at_path(const_cast<Node&>(root), path);
}

}  // namespace foil
