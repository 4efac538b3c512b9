// SPDX-License-Identifier: BSD-3-Clause
// Typed reading of one table of an experiment, and the description of what it may hold: the two visitors of a
// `describe(Fields&)`.
#pragma once

#include "config/node.h"

#include <foil/fields.h>

#include <functional>

namespace foil {

// Reads a table into the variables it visits; a key that is not there leaves its variable at the default.
// Every method throws foil::Error (usage) with place, what was got and what is allowed. Visit all keys, then
// call finish().
class TableReader : public Fields {
 public:
  // `name` leads the keys in messages: "loss" gives "loss.temperature"; empty for the root. `table` outlives
  // the reader; null means that all is default.
  TableReader(const Node* table, std::string name);

  void number(const char* key, double& value, const char* doc, Range allowed = anything()) override;
  void integer(const char* key, int64_t& value, const char* doc, Range allowed = anything()) override;
  void flag(const char* key, bool& value, const char* doc) override;
  void choice(const char* key, std::string& value, const std::vector<std::string>& allowed,
              const char* doc) override;
  void text(const char* key, std::string& value, const char* doc) override;
  void path(const char* key, std::string& value, const char* doc) override;
  void numbers(const char* key, std::vector<double>& value, const char* doc,
               Range allowed = anything()) override;
  void integers(const char* key, std::vector<int64_t>& value, const char* doc,
                Range allowed = anything()) override;
  void texts(const char* key, std::vector<std::string>& value, const char* doc) override;
  void renamed(const char* before, const char* now) override;

  // A key whose value is read by someone else (a table, a list of tables): makes the key known and returns
  // its value, null when absent. It is no part of resolved().
  const Node* take(const char* key);

  // Refuses a key that nobody visited.
  void finish() const;

  // The visited keys in order, with final values and origins ("default" where the key was not given). Paths
  // are absolute here, so that the table means the same wherever it is read again.
  const Node& resolved() const { return resolved_; }
  // The value that the table gives a key; null when it gives none.
  const Node* origin_of(std::string_view key) const;
  // Where messages about a key point: at its value; when it is not given, at the table; "default" without a
  // table.
  Origin place(std::string_view key) const;
  // An option of this table that foil::refuse refused, with its place and the table's name; other errors as
  // they are.
  Error with_place(const Error& error) const;

 private:
  // Notes the final value of a visited key.
  void resolve(const char* key, Node value);
  std::string full(std::string_view key) const {
    return name_.empty() ? std::string(key) : name_ + "." + std::string(key);
  }

  const Node* table_;
  std::string name_;
  Node resolved_;
  std::vector<std::string> known_;
};

// One option as `foil describe` shows it.
struct FieldDoc {
  std::string key;
  std::string type;           // the Fields method: "number", "choice", ...
  std::string default_value;  // as TOML
  std::string allowed;        // "a number > 0"
  std::string doc;
};

// The options that `visit` visits, in its order.
std::vector<FieldDoc> describe(const std::function<void(Fields&)>& visit);
// An aligned table of them: key, default, allowed, doc.
std::string describe_text(const std::vector<FieldDoc>& rows);

}  // namespace foil
