// SPDX-License-Identifier: BSD-3-Clause
// results.json: what evaluate() measured, with the headline numbers by their short names.
#pragma once

#include <nlohmann/json.hpp>

#include <optional>
#include <string>

namespace foil {

// What was measured on: the data set's name and Dataset::identity.
struct MeasuredData {
  std::string name, identity;
};

// {"protocol", "data": its identity, "metrics": {"knn": 84.5, "linear", "features.alignment", ...},
// "measured": all that evaluate() said, "step", "loss" (of training, when given)}. The protocol names the
// data set and how the headline numbers were measured, in the order of their columns; of a part ("part_of")
// the whole's protocol says enough.
nlohmann::json results_of(const MeasuredData& data, const nlohmann::json& measured, int64_t step,
                          std::optional<double> loss);

// The metrics on stdout, a line each, with the digits that each measure gives.
void print_results(const nlohmann::json& results);

}  // namespace foil
