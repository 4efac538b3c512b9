// SPDX-License-Identifier: BSD-3-Clause
// Tables: the top-level tables of an experiment file, read one by one into their options.
#pragma once

#include "config/allowed.h"
#include "experiment/plan.h"

#include <algorithm>

namespace foil {

// Reads the tables of a file one by one; what no reader asked for is unknown.
class Tables {
 public:
  explicit Tables(const Node& root) : root_(root) {
    resolved.value = Node::Table{};
    resolved.origin = root.origin;
  }

  template <class Options>
  void read(const std::string& name, Options& options) {
    resolved.set(name, this->options(find(name), name, options));
  }

  // The same of a table at hand, null where all is default; returns every value in force.
  template <class Options>
  Node options(const Node* table, const std::string& prefix, Options& options) {
    TableReader reader(table, prefix);
    options.describe(reader);
    reader.finish();
    return reader.resolved();
  }

  // A table that chooses a component by its `name`. `host`: the keys that the host reads itself.
  template <class Choice>
  Node choose(const Node* table, const std::string& prefix, const std::string& kind, std::string fallback,
              const FindComponent& find, Choice& choice, const std::function<void(Fields&)>& host = {}) {
    TableReader reader(table, prefix);
    reader.text("name", fallback, "what is chosen");
    choice.prefix = prefix;
    choice.place = reader.place("name").text();
    if (fallback.empty())
      fail(Exit::usage, table ? table->origin.text() : root_.origin.text(), ": ", prefix,
           ".name is missing.");
    choice.component = &find(kind, fallback, choice.place);
    if (host) host(reader);
    choice.component->describe(reader);
    reader.finish();
    choice.table = reader.resolved();
    return choice.table;
  }

  const Node* find(const std::string& name) {
    known_.push_back(name);
    const Node* table = root_.find(name);
    if (table && !table->is_table() && name != "loss" && name != "augment") {
      fail(Exit::usage, table->origin.text(), ": ", name, " must be a table: [", name, "].");
    }
    return table;
  }

  // The tables of [[name]]; a single [name] is a list of one.
  std::vector<const Node*> list(const std::string& name) {
    std::vector<const Node*> items;
    const Node* node = find(name);
    if (!node) return items;
    if (node->is_table()) return {node};
    if (!node->is_array())
      fail(Exit::usage, node->origin.text(), ": ", name, " must be tables: [[", name, "]].");
    for (const Node& item : std::get<Node::Array>(node->value)) {
      if (!item.is_table())
        fail(Exit::usage, item.origin.text(), ": ", name, " must be tables: [[", name, "]].");
      items.push_back(&item);
    }
    return items;
  }

  void finish() const {
    for (const auto& [key, value] : std::get<Node::Table>(root_.value)) {
      if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
        fail(Exit::usage, value.key_origin.text(), ": unknown key ", key, ".",
             known_names("keys", key, known_));
      }
    }
  }

  Node resolved;

 private:
  const Node& root_;
  std::vector<std::string> known_;
};

}  // namespace foil
