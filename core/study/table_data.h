// SPDX-License-Identifier: BSD-3-Clause
// The tables of a comparison for programs to read: CSV and JSON, with every number and its test.
#pragma once

#include "study/table.h"

#include <string>
#include <vector>

namespace foil {

// One line per variant and metric. No cell is a formula to a spreadsheet, and none has a control character in
// it.
std::string render_csv(const std::vector<ComparisonTable>& tables);

// {"tables": [{"protocol", "reference", "measures": {"knn": {"title", "unit", "digits", "better", ...}, ...},
// "rows": [...], "notes": [...]}], "across_data_sets": [...]}, the last of several data sets only
std::string render_json(const std::vector<ComparisonTable>& tables);

}  // namespace foil
