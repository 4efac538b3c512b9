// SPDX-License-Identifier: BSD-3-Clause
// results.json: what evaluate() measured, with the headline numbers by their short names.
#pragma once

#include "experiment.h"

#include <nlohmann/json.hpp>

#include <optional>

namespace foil {

// {"protocol", "data": Dataset::identity, "metrics": {"knn", "linear", "features.alignment", ...},
// "measured": all that evaluate() said, "step", "loss" (of training, when given)}. The headline numbers are
// those of the features; the protocol names the data set and how they were measured.
nlohmann::json results_of(const Experiment& x, const nlohmann::json& measured, int64_t step,
                          std::optional<double> loss);

// The metrics on stdout, a line each.
void print_results(const nlohmann::json& results);

}  // namespace foil
