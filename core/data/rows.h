// SPDX-License-Identifier: BSD-3-Clause
// Rows of named texts in a file: JSON Lines or tab-separated values behind one interface.
#pragma once

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

}  // namespace foil
