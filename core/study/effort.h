// SPDX-License-Identifier: BSD-3-Clause
// What trials took: read from their folders, and as a table beside the comparison.
#pragma once

#include "study/table.h"
#include "study/trial_results.h"

#include <string>
#include <vector>

namespace foil {

// cost.json and the rows of metrics.jsonl that evaluate.every_epochs wrote. `seconds`: what the study
// counted, for a run that left no cost. What is damaged counts as not known.
Effort read_effort(const std::string& folder, double seconds, const TrialResults& results);

// A header and a line a variant: seconds, samples, peak memory, and of each headline metric that was measured
// while training its last and its best epoch. Empty when nothing is known.
std::vector<std::vector<std::string>> effort_grid(const ComparisonTable& table);
// What its columns mean, a sentence each.
std::vector<std::string> effort_notes(const ComparisonTable& table);

}  // namespace foil
