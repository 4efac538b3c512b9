// SPDX-License-Identifier: BSD-3-Clause
// Checking values against what Fields allows. Every message has one shape: place, key = what was got,
// allowed: what is.
#include "config/reader.h"

#include "config/allowed.h"
#include "config/dump.h"
#include "config/path.h"

#include <algorithm>
#include <cmath>

namespace foil {
namespace {

[[noreturn]] void refuse(const Node& got, const std::string& key, const std::string& allowed,
                         const std::string& hint = "") {
  fail(Exit::usage, got.origin.text(), ": ", key, " = ", shown(got), ", allowed: ", allowed, ".", hint);
}

[[noreturn]] void refuse_type(const Node& got, const std::string& key, const std::string& allowed) {
  fail(Exit::usage, got.origin.text(), ": ", key, " = ", shown(got), " (", type_name(got),
       "), allowed: ", allowed, ".");
}

double read_number(const Node& got, const std::string& key, const Range& range) {
  if (!got.is_number()) refuse_type(got, key, allowed_number(range));
  if (!std::isfinite(got.number())) refuse(got, key, "a finite" + allowed_number(range).substr(1));
  if (!range.contains(got.number())) refuse(got, key, allowed_number(range));
  return got.number();
}

int64_t read_integer(const Node& got, const std::string& key, const Range& range) {
  if (!got.is_integer()) refuse_type(got, key, allowed_integer(range));
  if (!range.contains(got.number())) refuse(got, key, allowed_integer(range));
  if (!integers(range).contains(got.number())) refuse(got, key, allowed_integer(integers(range)));
  return got.integer();
}

std::string read_text(const Node& got, const std::string& key, const std::string& allowed) {
  if (!got.is_text()) refuse_type(got, key, allowed);
  return got.text();
}

// `read_one` takes an element and its key, "loss.scales[1]".
template <class ReadOne>
auto read_list(const Node& got, const std::string& key, const std::string& allowed, ReadOne read_one) {
  if (!got.is_array()) refuse_type(got, key, allowed);
  std::vector<decltype(read_one(got, key))> list;
  for (const Node& element : got.array())
    list.push_back(read_one(element, key + "[" + std::to_string(list.size()) + "]"));
  return list;
}

}  // namespace

TableReader::TableReader(const Node* table, std::string name) : table_(table), name_(std::move(name)) {
  if (table_ && !table_->is_table()) refuse_type(*table_, name_, "a table");
  resolved_.value = Node::Table{};
  resolved_.origin = table_ ? table_->origin : Origin{"default"};
  resolved_.key_origin = table_ ? table_->key_origin : Origin{"default"};
}

void TableReader::number(const char* key, double& value, const char*, Range allowed) {
  if (const Node* got = take(key)) value = read_number(*got, full(key), allowed);
  resolve(key, {value, {}, {}});
}

void TableReader::integer(const char* key, int64_t& value, const char*, Range allowed) {
  if (const Node* got = take(key)) value = read_integer(*got, full(key), allowed);
  resolve(key, {value, {}, {}});
}

void TableReader::flag(const char* key, bool& value, const char*) {
  if (const Node* got = take(key)) {
    if (!got->is_flag()) refuse_type(*got, full(key), allowed_flag);
    value = got->flag();
  }
  resolve(key, {value, {}, {}});
}

void TableReader::choice(const char* key, std::string& value, const std::vector<std::string>& allowed,
                         const char*) {
  if (const Node* got = take(key)) {
    const std::string text = read_text(*got, full(key), allowed_choice(allowed));
    if (std::find(allowed.begin(), allowed.end(), text) == allowed.end()) {
      const std::string near = nearest(text, allowed);
      refuse(*got, full(key), allowed_choice(allowed), near.empty() ? "" : " Did you mean '" + near + "'?");
    }
    value = text;
  }
  resolve(key, {value, {}, {}});
}

void TableReader::text(const char* key, std::string& value, const char*) {
  if (const Node* got = take(key)) value = read_text(*got, full(key), allowed_text);
  resolve(key, {value, {}, {}});
}

void TableReader::path(const char* key, std::string& value, const char*) {
  if (const Node* got = take(key)) {
    read_text(*got, full(key), allowed_path);
    value = path_of(*got, full(key));
  }
  const Node* got = origin_of(key);
  resolve(key, {absolute_path(value, got ? *got : Node{value, {"default"}, {}}, full(key)), {}, {}});
}

void TableReader::numbers(const char* key, std::vector<double>& value, const char*, Range allowed) {
  const auto one = [&](const Node& got, const std::string& name) { return read_number(got, name, allowed); };
  if (const Node* got = take(key)) value = read_list(*got, full(key), allowed_numbers(allowed), one);
  resolve(key, list_node(value));
}

void TableReader::integers(const char* key, std::vector<int64_t>& value, const char*, Range allowed) {
  const auto one = [&](const Node& got, const std::string& name) { return read_integer(got, name, allowed); };
  if (const Node* got = take(key)) value = read_list(*got, full(key), allowed_integers(allowed), one);
  resolve(key, list_node(value));
}

void TableReader::texts(const char* key, std::vector<std::string>& value, const char*) {
  const auto one = [](const Node& got, const std::string& name) {
    return read_text(got, name, allowed_text);
  };
  if (const Node* got = take(key)) value = read_list(*got, full(key), allowed_texts, one);
  resolve(key, list_node(value));
}

void TableReader::renamed(const char* before, const char* now) {
  if (const Node* got = table_ ? table_->find(before) : nullptr)
    fail(Exit::usage, got->key_origin.text(), ": ", full(before), " is called ", full(now), " now.");
}

const Node* TableReader::take(const char* key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.push_back(key);
  return origin_of(key);
}

void TableReader::finish() const {
  if (!table_) return;
  for (const auto& [key, value] : table_->table()) {
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    fail(Exit::usage, value.key_origin.text(), ": unknown key ", full(key), ".",
         known_names("keys", key, known_));
  }
}

const Node* TableReader::origin_of(std::string_view key) const {
  return table_ ? table_->find(key) : nullptr;
}

Origin TableReader::place(std::string_view key) const {
  const Node* node = origin_of(key);
  return node ? node->origin : resolved_.origin;
}

Error TableReader::with_place(const Error& error) const {
  if (error.key().empty() || error.key().find('.') != std::string::npos) return error;
  const std::string where = place(error.key()).text();
  return Error((where.empty() || where == "default" ? "" : where + ": ") + full(error.what()), error.code());
}

void TableReader::resolve(const char* key, Node value) {
  const Node* got = origin_of(key);
  value.origin = got ? got->origin : Origin{"default"};
  value.key_origin = got ? got->key_origin : Origin{"default"};
  resolved_.set(key, std::move(value));
}

}  // namespace foil
