// SPDX-License-Identifier: BSD-3-Clause
#include "trial_data.h"

#include <torch/types.h>

namespace foil::conformance {

int64_t TrialData::size(Split split) const { return split == Split::train ? size_ : 0; }

Tensor TrialData::labels(Split split) const {
  const Tensor all = torch::arange(size(split)) % 2;
  if (shape_.kind != Kind::graph) return all;
  return torch::where(torch::arange(size(split)) < 2, all, -1);
}

Tensor TrialData::nodes(Split split) const {
  return shape_.kind == Kind::graph ? torch::arange(size(split)) : Tensor();
}

Tensor TrialData::node_labels() const {
  return shape_.kind == Kind::graph ? torch::arange(size_) % 2 : Tensor();
}

}  // namespace foil::conformance
