// SPDX-License-Identifier: BSD-3-Clause
// The checks of what contrast is asked for: place, what was got, what is allowed.
#include "contrast/power2.h"
#include "contrast/problem.h"

namespace foil::contrast {
namespace {

constexpr size_t kMostChannels = 8;

void check_device(const std::string& place, const Tensor& x, at::Device device) {
  if (x.device() != device)
    fail(Exit::failure, place, " is on ", x.device(), ", allowed: ", device, ", as row.data.");
}

void check_data(const std::string& place, const Tensor& data) {
  if (!data.defined()) fail(Exit::failure, place, " is undefined, allowed: a tensor [N, D].");
  if (data.dim() != 2) fail(Exit::failure, place, " is ", data.sizes(), ", allowed: [N, D].");
  if (!at::isFloatingType(data.scalar_type()))
    fail(Exit::failure, place, " is of type ", data.scalar_type(), ", allowed: a floating type.");
}

// One number for each row of the side, integers or not.
void check_vector(const std::string& place, const Tensor& vector, const Tensor& data, bool integers) {
  if (!vector.defined()) return;
  const int64_t n = data.size(0);
  if (vector.dim() != 1 || vector.size(0) != n)
    fail(Exit::failure, place, " is ", vector.sizes(), ", allowed: [", n, "], one for each row of data.");
  const bool fits = integers ? vector.scalar_type() == at::kLong : at::isFloatingType(vector.scalar_type());
  if (!fits)
    fail(Exit::failure, place, " is of type ", vector.scalar_type(),
         ", allowed: ", integers ? "int64." : "a floating type.");
  check_device(place, vector, data.device());
}

void check_side(const std::string& place, const Side& side) {
  check_vector(place + ".id", side.id, side.data, true);
  check_vector(place + ".label", side.label, side.data, true);
  check_vector(place + ".scale", side.scale, side.data, false);
  check_vector(place + ".offset", side.offset, side.data, false);
}

void check_columns(const std::string& what, const Side& column) {
  if (column.data.defined()) return;
  if (column.id.defined() || column.label.defined() || column.scale.defined() || column.offset.defined())
    fail(Exit::failure, what,
         "column.data is undefined, so that the columns are the rows, allowed: no other member of column.");
}

void check_left_out(const std::string& what, const Tensor& pairs, const Tensor& rows, const Tensor& columns) {
  if (!pairs.defined()) return;
  if (pairs.dim() != 2 || pairs.size(0) != 2 || pairs.scalar_type() != at::kLong)
    fail(Exit::failure, what, "left_out is ", pairs.sizes(), " of type ", pairs.scalar_type(),
         ", allowed: [2, E] of type int64.");
  check_device(what + "left_out", pairs, rows.device());
  const Tensor most = at::tensor({rows.size(0), columns.size(0)}, pairs.options()).unsqueeze(1);
  if (pairs.lt(0).logical_or(pairs.ge(most)).any().item<bool>())
    fail(Exit::failure, what, "left_out has a pair outside of the matrix, allowed: rows from 0 to ",
         rows.size(0) - 1, ", columns from 0 to ", columns.size(0) - 1, ".");
}

void check_both(const std::string& what, const Side& row, const Side& column) {
  if (column.data.size(1) != row.data.size(1))
    fail(Exit::failure, what, "column.data is ", column.data.sizes(), ", allowed: [M, ", row.data.size(1),
         "], as row.data is ", row.data.sizes(), ".");
  if (column.data.scalar_type() != row.data.scalar_type())
    fail(Exit::failure, what, "column.data is of type ", column.data.scalar_type(),
         ", allowed: ", row.data.scalar_type(), ", as row.data.");
  check_device(what + "column.data", column.data, row.data.device());
  for (const Side* side : {&row, &column})
    if (side->data.size(0) > std::numeric_limits<int32_t>::max())
      fail(Exit::failure, what, "data is ", side->data.sizes(), ", allowed: at most 2^31 - 1 rows.");
  if (row.id.defined() != column.id.defined())
    fail(Exit::failure, what, "only one side has an id, allowed: both or none.");
  if (row.label.defined() != column.label.defined())
    fail(Exit::failure, what, "only one side has a label, allowed: both or none.");
}

void check_scale(const std::string& what, const Tensor& scale) {
  if (!scale.defined()) return;
  if (scale.dim() != 0 || !at::isFloatingType(scale.scalar_type()))
    fail(Exit::failure, what, "scale is ", scale.sizes(), " of type ", scale.scalar_type(),
         ", allowed: a number, or a tensor [] of a floating type.");
}

// The ends of the ranges of columns.
std::vector<int64_t> ends_of(const std::string& what, const std::vector<int64_t>& sizes, int64_t columns) {
  std::vector<int64_t> ends;
  for (const int64_t size : sizes) {
    if (size < 0) fail(Exit::failure, what, "segments has the size ", size, ", allowed: sizes >= 0.");
    ends.push_back((ends.empty() ? 0 : ends.back()) + size);
  }
  if (ends.empty()) ends.push_back(columns);
  if (ends.back() != columns)
    fail(Exit::failure, what, "segments has ", ends.back(), " columns, allowed: the ", columns,
         " of column.data.");
  return ends;
}

void check_channels(const std::string& what, const Side& row, const std::vector<Channel>& channels) {
  if (channels.empty() || channels.size() > kMostChannels)
    fail(Exit::failure, what, channels.size(), " channels, allowed: 1 to ", kMostChannels, ".");
  for (const Channel& channel : channels)
    if (channel.which != Which::all && !row.label.defined())
      fail(Exit::failure, what, "a channel of pairs alike or unlike, allowed: only with labels.");
}

Tensor raw(const Tensor& x) { return x.variable_data().contiguous(); }
Tensor factors(const Tensor& x) { return x.defined() ? raw(x).to(at::kDouble) : Tensor(); }
Tensor base2(const Tensor& x, at::ScalarType type) {
  return x.defined() ? (raw(x).to(at::kDouble) * kLog2E).to(type) : Tensor();
}

}  // namespace

Problem checked(const char* name, const Pairs& pairs, const std::vector<Channel>& channels) {
  const std::string what = std::string(name) + ": ";
  check_data(what + "row.data", pairs.row.data);
  check_side(what + "row", pairs.row);
  check_columns(what, pairs.column);
  const Side& column = columns_of(pairs);
  check_data(what + "column.data", column.data);
  check_side(what + "column", column);
  check_both(what, pairs.row, column);
  check_scale(what, pairs.scale.tensor);
  check_channels(what, pairs.row, channels);
  check_left_out(what, pairs.left_out, pairs.row.data, column.data);

  Problem p;
  p.rows = pairs.row.data.size(0);
  p.columns = column.data.size(0);
  p.width = pairs.row.data.size(1);
  p.type = pairs.row.data.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  p.symmetric = !pairs.column.data.defined();
  p.x = raw(pairs.row.data);
  p.y = p.symmetric ? p.x : raw(column.data);
  p.segments = ends_of(what, pairs.segments, p.columns);
  p.channels = channels;
  if (!p.x.is_cpu()) return p;
  p.scale = pairs.scale.tensor.defined() ? pairs.scale.tensor.item<double>() : pairs.scale.value;
  p.row_scale = factors(pairs.row.scale);
  p.column_scale = factors(column.scale);
  p.row_offset = base2(pairs.row.offset, p.type);
  p.column_offset = base2(column.offset, p.type);
  p.masks = std::make_shared<const Masks>(pairs.row, column, pairs.left_out);
  return p;
}

}  // namespace foil::contrast
