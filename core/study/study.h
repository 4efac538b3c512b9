// SPDX-License-Identifier: BSD-3-Clause
// Runs the trials of a study one after another. How a trial is run is the caller's function; this decides
// which, and keeps the books.
#pragma once

#include "study/store.h"

#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

namespace foil {

// Runs, or continues, the trial in its folder and returns its exit code; it may throw instead. 0 means that
// results.json is there.
using RunTrial = std::function<int(const PlannedTrial& trial, const std::string& folder)>;

// Plans the trials in the store and runs those that are not complete, in order, with a line each on `log`:
// "[2/4] dcl seed 1". Trials that were killed are continued, failed ones tried again. A failed trial does not
// stop the others. Returns 0 when all are complete, 1 when any failed; 130 or 75, at once, when a trial was
// interrupted or asks to be run again.
int run_study(const std::vector<PlannedTrial>& trials, const RunTrial& run, TrialStore& store,
              std::ostream& log);

// What run_study would do: one line per trial with its state, then how much is left. A time only when a
// complete trial of `known` (the store's records, empty when there is no store yet) tells the steps per
// second.
std::string dry_run(const std::vector<PlannedTrial>& trials, const std::vector<TrialRecord>& known);

}  // namespace foil
