// SPDX-License-Identifier: BSD-3-Clause
// A table as tab-separated values, plain or gzip: a header line with the names of the columns, then a line a
// row; UTF-8, no quoting, so that no cell holds a tab or a line end. Every failure is an Error (Exit::data)
// that begins with FILE:LINE.
#pragma once

#include "data/lines.h"

namespace foil {

class Tsv {
 public:
  // Reads the header; throws where there is none, or a column has no name or that of another.
  explicit Tsv(const std::string& path);

  const std::vector<std::string>& columns() const { return columns_; }
  // The place of a column among them; throws naming those that are there and the nearest one.
  size_t column(const std::string& name) const;

  // Goes to the next row; false behind the last. Throws unless it has a cell for every column.
  bool next();
  // Of the row at hand; valid until next().
  std::string_view cell(size_t column) const { return cells_.at(column); }
  // The same as a whole number from `low` to `high`.
  int64_t integer(size_t column, int64_t low, int64_t high) const;

  std::string place() const { return lines_.place(); }  // "FILE:12", of the row at hand
  // Refuses a cell of the row at hand: "FILE:12: split is 'dev', allowed: ...".
  [[noreturn]] void refuse_cell(size_t column, const std::string& allowed) const;

 private:
  void split();

  Lines lines_;
  std::string line_;
  std::vector<std::string_view> cells_;  // of line_
  std::vector<std::string> columns_;
};

}  // namespace foil
