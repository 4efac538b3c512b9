// SPDX-License-Identifier: BSD-3-Clause
// Accuracy by class frequency: how a method serves the classes it has seen often and seldom. For long tails.
#pragma once

#include <foil/view.h>

#include <string>
#include <vector>

namespace foil {

struct FrequencyGroup {
  std::string name;  // "many", "medium", "few"
  std::vector<int64_t> classes;
};

// The classes in thirds by how many training samples they have, the most frequent first; of equal counts the lower class first.
// The first and last group have round(classes / 3), "medium" the rest; a group without classes is left out.
std::vector<FrequencyGroup> frequency_groups(const Tensor& train_labels, int64_t classes);

// The share of hits (bool [M]) among the rows whose label is of the group, in [0, 1]; -1 where there are none.
double group_accuracy(const Tensor& hits, const Tensor& labels, const FrequencyGroup& group);

}  // namespace foil
