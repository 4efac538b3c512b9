// SPDX-License-Identifier: BSD-3-Clause
// A data set in memory, for what looks at the whole before a run begins.
#pragma once

#include <foil/dataset.h>

#include <functional>

namespace foil::conformance {

// One modality, named after its kind. `read` gives the samples of an index; of a graph the whole, whose nodes
// are the samples, two of them with a label that may be learned from.
class TrialData final : public Dataset {
 public:
  TrialData(Shape shape, int64_t size, std::function<View(const Tensor& index)> read)
      : shape_(std::move(shape)), size_(size), read_(std::move(read)) {}

  int64_t size(Split split) const override;
  std::vector<std::string> classes() const override { return {"a", "b"}; }
  Tensor labels(Split split) const override;
  std::vector<Modality> modalities() const override { return {{name_of(shape_.kind), shape_}}; }
  Views read(Split, const Tensor& index) const override { return {read_(index)}; }
  Tensor nodes(Split split) const override;
  Tensor node_labels() const override;
  std::string identity() const override { return "trial"; }
  bool in_memory() const override { return true; }

 private:
  Shape shape_;
  int64_t size_;
  std::function<View(const Tensor& index)> read_;
};

}  // namespace foil::conformance
