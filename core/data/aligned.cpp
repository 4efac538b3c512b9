// SPDX-License-Identifier: BSD-3-Clause
// The index of aligned files, and their rows by split.
#include "data/aligned.h"

#include "run/text.h"

#include <torch/types.h>

namespace foil {
namespace {

Split split_of(const Tsv& index, size_t column) {
  const std::string_view name = index.cell(column);
  if (name == "train") return Split::train;
  if (name == "validation") return Split::validation;
  if (name == "test") return Split::test;
  index.refuse_cell(column, "train, validation, test");
}

Table rows_of(const Table& all, const Tensor& rows) {
  Table some;
  if (rows.numel() == 0) return some;
  const auto selected = [&](const Tensor& of_all) {
    return of_all.defined() ? of_all.index_select(0, rows) : of_all;
  };
  for (const Column& column : all.columns)
    some.columns.push_back({selected(column.data), selected(column.length)});
  some.label = selected(all.label);
  some.group = selected(all.group);
  return some;
}

}  // namespace

SplitRows read_index(Tsv& index, int64_t count, const std::string& other,
                     const std::function<bool(int64_t row, Split split)>& each) {
  const size_t row_column = index.column("row"), split_column = index.column("split");
  std::vector<int64_t> train, validation, test;
  int64_t row = 0;
  for (; index.next(); ++row) {
    if (row == count)
      fail(Exit::data, index.place(), ": a row more than the ", count, " of ", printable(other), ".");
    index.integer(row_column, row, row);
    const Split split = split_of(index, split_column);
    if (!each(row, split)) continue;
    (split == Split::train ? train : split == Split::test ? test : validation).push_back(row);
  }
  if (row < count)
    fail(Exit::data, index.place(), ": ends after ", row, " rows, but ", printable(other), " holds ", count,
         ".");
  if (train.empty()) fail(Exit::data, index.place(), ": no row is of the split train.");
  return {torch::tensor(train, torch::kLong), torch::tensor(validation, torch::kLong),
          torch::tensor(test, torch::kLong)};
}

void set_splits(const Table& all, const SplitRows& rows, Contents& contents) {
  contents.train = rows_of(all, rows.train);
  contents.validation = rows_of(all, rows.validation);
  contents.test = rows_of(all, rows.test);
}

}  // namespace foil
