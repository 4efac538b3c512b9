// SPDX-License-Identifier: BSD-3-Clause
// What an augmentation is tried on: seven samples as a data set or an earlier augmentation delivers them.
// Graphs are in graph_augmentations.h.
#pragma once

#include "findings.h"

#include <foil/view.h>

namespace foil::conformance {

constexpr int64_t kSamples = 7;

struct Data {
  std::string text;
  Shape shape;  // of a sample, [C, -1, -1] where they differ in size
  View (*view)();
};
const std::vector<Data>& augmentation_data();

// The samples as numbers, as behind another augmentation; of text its bytes.
Tensor as_numbers(const View& view);
// The samples at these positions, in this order.
View samples_at(const View& view, const Tensor& positions);

}  // namespace foil::conformance
