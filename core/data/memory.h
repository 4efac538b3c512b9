// SPDX-License-Identifier: BSD-3-Clause
// A data set held once in memory: what the readers of small formats fill. It reads no file.
#pragma once

#include <foil/dataset.h>

#include <mutex>

namespace foil {

// The rows of one modality, contiguous on the CPU, as View says of its kind.
struct Column {
  Tensor data;    // [N, ...]
  Tensor length;  // int64 [N], or undefined
};

// One split: row i of every column is sample i. Without columns there is no such split.
struct Table {
  std::vector<Column> columns;  // in the order of Contents::modalities
  Tensor label, group;          // int64 [N], or undefined
  int64_t size() const { return columns.empty() ? 0 : columns[0].data.size(0); }
};
// A split of one modality: images [N, C, H, W] or vectors [N, F].
inline Table table_of(Tensor data, Tensor label) { return {{{std::move(data), {}}}, std::move(label), {}}; }

struct Contents {
  Table train, test;
  std::vector<std::string> classes;
  Table validation;
  // Empty: one, of images [N, C, H, W] or vectors [N, F].
  std::vector<Modality> modalities;
};

class MemoryDataset : public Dataset {
 public:
  explicit MemoryDataset(Contents contents);
  int64_t size(Split split) const override { return table(split).size(); }
  std::vector<std::string> classes() const override { return contents_.classes; }
  Tensor labels(Split split) const override { return table(split).label; }
  Tensor groups(Split split) const override { return table(split).group; }
  Views read(Split split, const Tensor& index) const override;
  std::vector<Modality> modalities() const override { return contents_.modalities; }
  // Of the samples, labels, groups and class names as they are held, so that it does not matter how the files
  // were packed. A pass over the memory, once: about a second per GB.
  std::string identity() const override;
  bool in_memory() const override { return true; }

 private:
  const Table& table(Split split) const;
  Contents contents_;
  mutable std::once_flag hashed_;
  mutable std::string identity_;
};

// Throws unless every entry of `index` (int64 on the CPU) is a row of a split of `size` samples.
void check_index(const Tensor& index, int64_t size);

}  // namespace foil
