// SPDX-License-Identifier: BSD-3-Clause
// A data set held once in memory: what the readers of small formats fill. It reads no file.
#pragma once

#include <foil/dataset.h>

#include <mutex>

namespace foil {

// One split: row i of `data` has label `label[i]`.
struct Table {
  Tensor data;   // contiguous on the CPU: uint8 [N, C, H, W], or float [N, F]; undefined = no such split
  Tensor label;  // int64 [N], or undefined
};

struct Contents {
  Table train, test;
  std::vector<std::string> classes;
};

class MemoryDataset : public Dataset {
 public:
  explicit MemoryDataset(Contents contents);
  int64_t size(Split split) const override;
  std::vector<std::string> classes() const override { return contents_.classes; }
  Tensor labels(Split split) const override { return table(split).label; }
  Views read(Split split, const Tensor& index) const override;
  std::vector<int64_t> shape() const override { return contents_.train.data.sizes().slice(1).vec(); }
  // Of the samples, labels and class names as they are held, so that it does not matter how the files were
  // packed. A pass over the memory, once: about a second per GB.
  std::string identity() const override;
  bool in_memory() const override { return true; }

 private:
  const Table& table(Split split) const { return split == Split::train ? contents_.train : contents_.test; }
  Contents contents_;
  mutable std::once_flag hashed_;
  mutable std::string identity_;
};

// Throws unless every entry of `index` (int64 on the CPU) is a row of a split of `size` samples.
void check_index(const Tensor& index, int64_t size);

}  // namespace foil
