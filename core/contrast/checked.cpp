// SPDX-License-Identifier: BSD-3-Clause
// The checks of what contrast is asked for: place, what was got, what is allowed.
#include "contrast/power2.h"
#include "contrast/problem.h"

namespace foil::contrast {
namespace {

constexpr size_t kMostChannels = 8;

void check_data(const std::string& place, const Tensor& data) {
  if (!data.defined()) fail(Exit::failure, place, " is undefined, allowed: a tensor [N, D].");
  if (data.dim() != 2) fail(Exit::failure, place, " is ", data.sizes(), ", allowed: [N, D].");
  if (!at::isFloatingType(data.scalar_type()))
    fail(Exit::failure, place, " is of type ", data.scalar_type(), ", allowed: a floating type.");
  if (!data.device().is_cpu()) fail(Exit::failure, place, " is on ", data.device(), ", allowed: cpu.");
}

// One number for each row of the side, integers or not.
void check_vector(const std::string& place, const Tensor& vector, int64_t n, bool integers) {
  if (!vector.defined()) return;
  if (vector.dim() != 1 || vector.size(0) != n)
    fail(Exit::failure, place, " is ", vector.sizes(), ", allowed: [", n, "], one for each row of data.");
  const bool fits = integers ? vector.scalar_type() == at::kLong : at::isFloatingType(vector.scalar_type());
  if (!fits)
    fail(Exit::failure, place, " is of type ", vector.scalar_type(),
         ", allowed: ", integers ? "int64." : "a floating type.");
  if (!vector.device().is_cpu()) fail(Exit::failure, place, " is on ", vector.device(), ", allowed: cpu.");
}

void check_side(const std::string& place, const Side& side) {
  const int64_t n = side.data.size(0);
  check_vector(place + ".id", side.id, n, true);
  check_vector(place + ".label", side.label, n, true);
  check_vector(place + ".scale", side.scale, n, false);
  check_vector(place + ".offset", side.offset, n, false);
}

// The columns of the pairs, which may be the rows.
Side columns_of(const std::string& what, const Pairs& pairs) {
  const Side &row = pairs.row, &column = pairs.column;
  if (column.data.defined()) return column;
  if (column.id.defined() || column.label.defined() || column.scale.defined() || column.offset.defined())
    fail(Exit::failure, what,
         "column.data is undefined, so that the columns are the rows, allowed: no other member of column.");
  return row;
}

void check_both(const std::string& what, const Side& row, const Side& column) {
  if (column.data.size(1) != row.data.size(1))
    fail(Exit::failure, what, "column.data is ", column.data.sizes(), ", allowed: [M, ", row.data.size(1),
         "], as row.data is ", row.data.sizes(), ".");
  if (column.data.scalar_type() != row.data.scalar_type())
    fail(Exit::failure, what, "column.data is of type ", column.data.scalar_type(),
         ", allowed: ", row.data.scalar_type(), ", as row.data.");
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
  const Side column = columns_of(what, pairs);
  check_data(what + "column.data", column.data);
  check_side(what + "column", column);
  check_both(what, pairs.row, column);
  check_scale(what, pairs.scale.tensor);
  check_channels(what, pairs.row, channels);

  Problem p;
  p.rows = pairs.row.data.size(0);
  p.columns = column.data.size(0);
  p.width = pairs.row.data.size(1);
  p.type = pairs.row.data.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  p.symmetric = !pairs.column.data.defined();
  p.x = raw(pairs.row.data);
  p.y = p.symmetric ? p.x : raw(column.data);
  p.scale = pairs.scale.tensor.defined() ? pairs.scale.tensor.item<double>() : pairs.scale.value;
  p.row_scale = factors(pairs.row.scale);
  p.column_scale = factors(column.scale);
  p.row_offset = base2(pairs.row.offset, p.type);
  p.column_offset = base2(column.offset, p.type);
  p.segments = ends_of(what, pairs.segments, p.columns);
  p.channels = channels;
  p.masks = std::make_shared<const Masks>(pairs.row, column);
  return p;
}

}  // namespace foil::contrast
