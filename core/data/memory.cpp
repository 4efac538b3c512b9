// SPDX-License-Identifier: BSD-3-Clause
// Rows are copied whole: a batch is one memcpy a sample.
#include "data/memory.h"

#include "run/file.h"

#include <torch/types.h>

#include <cstring>
#include <sstream>

namespace foil {

MemoryDataset::MemoryDataset(Contents contents) : contents_(std::move(contents)) {
  const Tensor &train = contents_.train.data, &test = contents_.test.data;
  if (test.defined() && test.sizes().slice(1) != train.sizes().slice(1)) {
    fail(Exit::data, "test samples are ", test.sizes().slice(1), ", training samples ",
         train.sizes().slice(1), "; they must agree.");
  }
}

int64_t MemoryDataset::size(Split split) const {
  const Tensor& data = table(split).data;
  return data.defined() ? data.size(0) : 0;
}

Views MemoryDataset::read(Split split, const Tensor& index) const {
  check_index(index, size(split));
  const Tensor rows = index.contiguous();
  const Tensor& data = table(split).data;
  std::vector<int64_t> sizes = contents_.train.data.sizes().vec();
  sizes[0] = rows.size(0);
  View view;
  view.modality = sizes.size() == 2 ? "vector" : "image";
  view.data = torch::empty(sizes, contents_.train.data.options());
  if (rows.numel() > 0) {
    const auto row_bytes = static_cast<size_t>(data[0].nbytes());
    const auto* from = static_cast<const char*>(data.const_data_ptr());
    auto* to = static_cast<char*>(view.data.mutable_data_ptr());
    for (int64_t b = 0; b < rows.size(0); ++b, to += row_bytes) {
      std::memcpy(to, from + static_cast<size_t>(rows.const_data_ptr<int64_t>()[b]) * row_bytes, row_bytes);
    }
  }
  return {std::move(view)};
}

std::string MemoryDataset::identity() const {
  std::call_once(hashed_, [this] {
    const auto sum = [](const Tensor& tensor) {
      if (!tensor.defined()) return std::string();
      const Tensor rows = tensor.contiguous();
      return checksum({static_cast<const char*>(rows.const_data_ptr()), rows.nbytes()});
    };
    std::ostringstream all;  // each name ends in a zero byte, which none holds
    for (const Table* table : {&contents_.train, &contents_.test}) {
      if (table->data.defined()) all << table->data.sizes() << table->data.dtype();
      all << sum(table->data) << ' ' << sum(table->label) << '\n';
    }
    for (const std::string& name : contents_.classes) all << name << '\0';
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
