// SPDX-License-Identifier: BSD-3-Clause
// By class frequency: how a method serves the classes it has seen often and seldom. For long tails.
#pragma once

#include <foil/view.h>

#include <optional>
#include <string>
#include <vector>

namespace foil {

struct Measuring;

struct FrequencyGroup {
  std::string name;  // "many", "medium", "few"
  std::vector<int64_t> classes;
};

// The classes in thirds by how many training samples they have, the most frequent first; of equal counts the
// lower class first. The first and last group have round(classes / 3), "medium" the rest; a group without
// classes is left out.
std::vector<FrequencyGroup> frequency_groups(const Tensor& train_labels, int64_t classes);

// The mean of a value a sample (floating or bool [M]) over the samples whose label is of the group; what is
// not finite, or the lowest float (never seen), takes no part. Empty where nothing is left.
std::optional<double> group_mean(const Tensor& values, const Tensor& labels, const FrequencyGroup& group);

// An entry "NAME_GROUP" for each of the accuracies so far, of the same hits; "part_of" is NAME, "classes" are
// the group's.
void measure_class_frequency(Measuring& of);

}  // namespace foil
