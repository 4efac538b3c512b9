// SPDX-License-Identifier: BSD-3-Clause
// What a call of contrast asks for, checked, and in the form that the passes read.
#pragma once

#include <foil/contrast.h>

#include <memory>

namespace foil::contrast {

// Which pairs are left out, and which are of equal label: O(N + M + E) numbers.
class Masks {
 public:
  // `left_out` as in Pairs, each pair one of the matrix.
  Masks(const Side& row, const Side& column, const Tensor& left_out);
  bool leaves_out() const { return !order_.empty() || one_by_one(); }
  bool one_by_one() const { return !listed_.empty(); }
  // each(column) for the columns in [begin, end) that are left out of the row.
  template <class Each>
  void left_out(int64_t row, int64_t begin, int64_t end, const Each& each) const {
    const size_t i = static_cast<size_t>(row);
    if (!order_.empty()) visit(order_, from_[i], until_[i], begin, end, each);
    if (one_by_one()) visit(listed_, listed_from_[i], listed_from_[i + 1], begin, end, each);
  }
  const int32_t* row_labels() const { return row_label_.data(); }        // [N]
  const int32_t* column_labels() const { return column_label_.data(); }  // [M]

 private:
  // Of columns that are ascending from one place to another.
  template <class Each>
  static void visit(const std::vector<int32_t>& columns, int64_t from, int64_t until, int64_t begin,
                    int64_t end, const Each& each) {
    const int32_t* const last = columns.data() + until;
    const int32_t* at = columns.data() + from;
    if (last - at > 8) at = std::lower_bound(at, last, static_cast<int32_t>(begin));
    for (; at < last && *at < end; ++at)
      if (*at >= begin) each(*at);
  }

  std::vector<int32_t> order_;                     // the columns, by id and within an id ascending
  std::vector<int32_t> from_, until_;              // of each row, its id's range in order_
  std::vector<int32_t> listed_;                    // the columns of pairs left out one by one, by row
  std::vector<int64_t> listed_from_;               // [N + 1]: where each row's begin
  std::vector<int32_t> row_label_, column_label_;  // -1 and -2 without a class
};

// Tensors are contiguous and without a graph.
struct Problem {
  int64_t rows = 0, columns = 0, width = 0;  // N, M, D
  at::ScalarType type = at::kFloat;          // of the tiles and the results
  bool symmetric = false;                    // the columns are the rows
  Tensor x, y;                               // [N, D], [M, D], in the caller's type
  double scale = 1;                          //
  Tensor row_scale, column_scale;            // fp64 [N], [M] or undefined
  Tensor row_offset, column_offset;          // `type`, times log2(e), or undefined
  std::vector<int64_t> segments;             // the ends of the ranges of columns, at least one
  std::vector<Channel> channels;             //
  std::shared_ptr<const Masks> masks;        //
  int64_t ranges() const { return static_cast<int64_t>(segments.size()); }  // G
};

// Throws Error (Exit::failure) for what does not fit; `what` is the function that was called.
Problem checked(const char* what, const Pairs& pairs, const std::vector<Channel>& channels);
// The columns of the pairs, which may be the rows.
inline const Side& columns_of(const Pairs& pairs) {
  return pairs.column.data.defined() ? pairs.column : pairs.row;
}

// A number of one row or column and channel: base + log2(sum) of an LSE with an integer base, the sum of a
// sum, the base of a maximum.
struct State {
  double base = -std::numeric_limits<double>::infinity(), sum = 0;
};
// Of every channel: [G N] by range, or [M].
using States = std::vector<std::vector<State>>;

// Gradients with the shapes of their tensors, fp32 or fp64; undefined where none is asked for.
struct Gradients {
  Tensor x, y, scale, row_scale, row_offset, column_scale, column_offset;
};
struct Wanted {
  bool x = false, y = false, scale = false, row_scale = false, row_offset = false, column_scale = false,
       column_offset = false;
  bool any() const { return x || y || scale || row_scale || row_offset || column_scale || column_offset; }
};

}  // namespace foil::contrast
