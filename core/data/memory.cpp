// SPDX-License-Identifier: BSD-3-Clause
// Rows are copied whole: a batch is one memcpy a sample.
#include "data/memory.h"

#include "run/file.h"

#include <torch/types.h>

#include <cstring>
#include <sstream>

namespace foil {

namespace {

// These rows of `data`, as one copy each.
Tensor copied_rows(const Tensor& data, const Tensor& rows) {
  std::vector<int64_t> sizes = data.sizes().vec();
  sizes[0] = rows.size(0);
  Tensor copies = torch::empty(sizes, data.options());
  if (rows.numel() == 0) return copies;
  const auto row_bytes = static_cast<size_t>(data[0].nbytes());
  const auto* from = static_cast<const char*>(data.const_data_ptr());
  auto* to = static_cast<char*>(copies.mutable_data_ptr());
  for (int64_t b = 0; b < rows.size(0); ++b, to += row_bytes)
    std::memcpy(to, from + static_cast<size_t>(rows.const_data_ptr<int64_t>()[b]) * row_bytes, row_bytes);
  return copies;
}

}  // namespace

MemoryDataset::MemoryDataset(Contents contents) : contents_(std::move(contents)) {
  const std::vector<Column>& train = contents_.train.columns;
  if (contents_.modalities.empty() && !train.empty()) {
    const Kind kind = train[0].data.dim() == 2 ? Kind::vector : Kind::image;
    contents_.modalities = {{name_of(kind), {kind, train[0].data.sizes().slice(1).vec(), 0}}};
  }
  for (const auto& [name, other] :
       {std::pair{"test", &contents_.test}, {"validation", &contents_.validation}}) {
    for (size_t m = 0; m < other->columns.size(); ++m) {
      const at::IntArrayRef got = other->columns[m].data.sizes().slice(1),
                            want = train.at(m).data.sizes().slice(1);
      if (got != want)
        fail(Exit::data, name, " samples are ", got, ", training samples ", want, "; they must agree.");
    }
  }
}

const Table& MemoryDataset::table(Split split) const {
  return split == Split::train  ? contents_.train
         : split == Split::test ? contents_.test
                                : contents_.validation;
}

Views MemoryDataset::read(Split split, const Tensor& index) const {
  check_index(index, size(split));
  const Tensor rows = index.contiguous();
  Views views;
  for (size_t m = 0; m < contents_.modalities.size(); ++m) {
    // A split that is not there gives no row of the right shape.
    const std::vector<Column>& columns = table(split).columns;
    const Column& column = columns.empty() ? contents_.train.columns[m] : columns[m];
    View view;
    view.modality = contents_.modalities[m].name;
    view.kind = contents_.modalities[m].shape.kind;
    view.data = copied_rows(column.data, rows);
    if (column.length.defined()) view.length = column.length.index_select(0, rows);
    views.push_back(std::move(view));
  }
  return views;
}

std::string MemoryDataset::identity() const {
  std::call_once(hashed_, [this] {
    const auto sum = [](const Tensor& tensor) {
      if (!tensor.defined()) return std::string();
      const Tensor rows = tensor.contiguous();
      return checksum({static_cast<const char*>(rows.const_data_ptr()), rows.nbytes()});
    };
    std::ostringstream all;
    const auto write = [&](const Table& table) {
      for (const Column& column : table.columns) {
        all << column.data.sizes() << column.data.dtype() << sum(column.data);
        if (column.length.defined()) all << " length " << sum(column.length);
      }
      all << ' ' << sum(table.label);
      if (table.group.defined()) all << " group " << sum(table.group);
      all << '\n';
    };
    write(contents_.train);
    write(contents_.test);
    if (contents_.validation.size() > 0) write(contents_.validation);
    for (const std::string& name : contents_.classes) all << name << '\0';  // which no name holds
    if (contents_.modalities.size() > 1)
      for (const Modality& modality : contents_.modalities) all << modality.name << '\0';
    identity_ = checksum(all.str());
  });
  return identity_;
}

void check_index(const Tensor& index, int64_t size) {
  if (index.dim() != 1 || index.scalar_type() != torch::kLong || !index.is_cpu()) {
    fail(Exit::failure, "index is ", index.toString(), " ", index.sizes(),
         ", expected a CPU tensor of int64 [B].");
  }
  for (int64_t b = 0; b < index.size(0); ++b) {
    const int64_t row = index.const_data_ptr<int64_t>()[b * index.stride(0)];
    if (row < 0 || row >= size)
      fail(Exit::failure, "index ", row, " at position ", b, ", allowed: 0 to ", size - 1, ".");
  }
}

}  // namespace foil
