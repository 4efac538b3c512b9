// SPDX-License-Identifier: BSD-3-Clause
// The two formats of rows.
#include "data/rows.h"

#include "data/tsv.h"
#include "run/json.h"
#include "run/text.h"

#include <foil/error.h>

namespace foil {
namespace {

using nlohmann::json;

class TsvRows final : public Rows {
 public:
  TsvRows(const std::string& path, const std::vector<std::string>& columns) : tsv_(path) {
    for (const std::string& name : columns) at_.push_back(tsv_.column(name));
    cells_.resize(columns.size());
  }
  bool next() override {
    if (!tsv_.next()) return false;
    for (size_t c = 0; c < at_.size(); ++c) cells_[c] = tsv_.cell(at_[c]);
    return true;
  }

 private:
  Tsv tsv_;
  std::vector<size_t> at_;
};

class JsonRows final : public Rows {
 public:
  JsonRows(const std::string& path, std::vector<std::string> columns)
      : lines_(path), columns_(std::move(columns)) {
    cells_.resize(columns_.size());
  }
  bool next() override {
    do {
      if (!lines_.next(line_)) return false;
    } while (line_.find_first_not_of(" \t") == line_.npos);
    const std::string place = lines_.place();
    const json row = json_row(line_, columns_[0], place);
    for (size_t c = 0; c < columns_.size(); ++c) cells_[c] = text_of(row, columns_[c], place);
    return true;
  }

 private:
  Lines lines_;
  std::string line_;
  std::vector<std::string> columns_;
};

}  // namespace

std::unique_ptr<Rows> open_rows(const std::string& path, const std::vector<std::string>& columns) {
  for (const std::string ending : kRowEndings) {
    if (!path.ends_with(ending)) continue;
    if (ending.starts_with(".tsv")) return std::make_unique<TsvRows>(path, columns);
    return std::make_unique<JsonRows>(path, columns);
  }
  fail(Exit::data, printable(path),
       ": cannot be read, allowed: a file that ends in .jsonl or .tsv, also with .gz.");
}

json json_row(const std::string& text, const std::string& column, const std::string& place) {
  json row = parse_json(text, place);
  if (!row.is_object())
    fail(Exit::data, place, ": the value is ", in_quotes(text), ", allowed: an object, {\"",
         printable(column), "\": ...}.");
  return row;
}

std::string text_of(const json& row, const std::string& column, const std::string& place) {
  const auto found = row.find(column);
  if (found == row.end()) {
    std::vector<std::string> names;
    for (const auto& [name, value] : row.items()) names.push_back(printable(name));
    fail(Exit::data, place, ": no column ", in_quotes(column), ".", known_names("columns", column, names));
  }
  if (found->is_number_integer()) return found->dump();
  if (!found->is_string())
    fail(Exit::data, place, ": ", printable(column), " is ", in_quotes(found->dump()), ", allowed: a text.");
  return found->get<std::string>();
}

}  // namespace foil
