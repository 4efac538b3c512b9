// SPDX-License-Identifier: BSD-3-Clause
// Rows of named texts in a file: JSON Lines or tab-separated values behind one interface.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <memory>
#include <string>
#include <vector>

namespace foil {

inline constexpr const char* kRowEndings[] = {".jsonl", ".jsonl.gz", ".tsv", ".tsv.gz"};

class Rows {
 public:
  virtual ~Rows() = default;
  // Goes to the next row; false behind the last. Throws Error (Exit::data) with FILE:LINE for a damaged one,
  // or one without a column that was asked for, naming the columns that are there.
  virtual bool next() = 0;
  // The columns that were asked for, in that order, of the row at hand.
  const std::vector<std::string>& cells() const { return cells_; }

 protected:
  std::vector<std::string> cells_;
};

// Of JSON an object a line: texts, in a column of which the others are not looked at; a whole number counts
// as the text of its digits; lines without a value are passed over. Throws Error (Exit::data) for a file of
// another ending than kRowEndings.
std::unique_ptr<Rows> open_rows(const std::string& path, const std::vector<std::string>& columns);

// The JSON object in a text; `column` is one that it should have. Throws Error (Exit::data) with the place
// for anything else.
nlohmann::json json_row(const std::string& text, const std::string& column, const std::string& place);
// A column of it: a text, or the digits of a whole number. Throws likewise, naming the columns that are
// there.
std::string text_of(const nlohmann::json& row, const std::string& column, const std::string& place);

}  // namespace foil
