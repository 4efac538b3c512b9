// SPDX-License-Identifier: BSD-3-Clause
// Splitting lines at tabs, and naming what does not fit.
#include "data/tsv.h"

#include "run/text.h"

#include <foil/error.h>

#include <algorithm>
#include <charconv>

namespace foil {

Tsv::Tsv(const std::string& path) : lines_(path) {
  if (!lines_.next(line_)) fail(Exit::data, printable(path), ": is empty, expected a line of column names.");
  split();
  for (const std::string_view name : cells_) {
    if (name.empty()) fail(Exit::data, place(), ": column ", columns_.size() + 1, " has no name.");
    const std::string shown = printable(name);
    if (std::find(columns_.begin(), columns_.end(), shown) != columns_.end())
      fail(Exit::data, place(), ": two columns are named ", in_quotes(name), ".");
    columns_.push_back(shown);
  }
}

size_t Tsv::column(const std::string& name) const {
  const auto found = std::find(columns_.begin(), columns_.end(), name);
  if (found == columns_.end())
    fail(Exit::data, printable(lines_.path()), ":1: no column ", in_quotes(name), ".",
         known_names("columns", name, columns_));
  return static_cast<size_t>(found - columns_.begin());
}

bool Tsv::next() {
  if (!lines_.next(line_)) return false;
  split();
  if (cells_.size() != columns_.size())
    fail(Exit::data, place(), ": ", cells_.size(), cells_.size() == 1 ? " cell" : " cells",
         ", allowed: ", columns_.size(), ", one for each column of the header.");
  return true;
}

void Tsv::split() {
  cells_.clear();
  for (std::string_view rest = line_;;) {
    const size_t tab = rest.find('\t');
    cells_.push_back(rest.substr(0, tab));
    if (tab == rest.npos) return;
    rest.remove_prefix(tab + 1);
  }
}

int64_t Tsv::integer(size_t column, int64_t low, int64_t high) const {
  const std::string_view text = cell(column);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < low || value > high)
    refuse_cell(column, low == high
                            ? std::to_string(low)
                            : "an integer from " + std::to_string(low) + " to " + std::to_string(high));
  return value;
}

void Tsv::refuse_cell(size_t column, const std::string& allowed) const {
  fail(Exit::data, place(), ": ", columns_.at(column), " is ", in_quotes(cell(column)),
       ", allowed: ", allowed, ".");
}

}  // namespace foil
