// SPDX-License-Identifier: BSD-3-Clause
// Whether an experiment goes on with a run that another one began: only what the steps already made depend on
// must be the same.
#pragma once

#include "config/node.h"
#include "run/run_folder.h"

#include <cstdint>
#include <string>

namespace foil {

// An experiment as a run recorded it. Throws Error (Exit::data) with file, line and column for one that is
// damaged.
Node read_experiment_record(const std::string& path);
Node experiment_record(const std::string& text, const std::string& place);

// The steps of the newest checkpoint in a run folder; 0 without one.
int64_t steps_made(const std::string& folder);

// In what the resolved experiment `now`, which asks for `steps` in all, differs from `record`, which may be
// older than some of its keys: those are no difference while nobody gives them.
std::vector<std::string> differences_from(const Node& record, const Node& now);

// The same from what the run in `folder` recorded. The number of steps, the evaluation, the alarm, what is
// logged and kept, threads and places belong to the rest; fewer steps than were made are another past. Throws
// Error (Exit::data) for a record that is damaged.
Differences compare_experiments(const std::string& folder, const Node& now, int64_t steps);

}  // namespace foil
