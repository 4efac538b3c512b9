// SPDX-License-Identifier: BSD-3-Clause
// Runs: which run folders lie below a folder, and what their small files tell of them. Reads only; of
// checkpoints and curves only names, sizes and times.
#pragma once

#include "program/condition.h"
#include "study/trial_results.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace foil {

struct FoundRun {
  std::string folder;  // below the folder that was asked for, whose name it begins with
  // Of its status; "killed" where that says running and no process works in it. Without a status "finished"
  // where there are results, else "unfinished".
  std::string state;
  std::string remark;         // who works in it, why it failed, what of it cannot be read; maybe empty
  FlatExperiment experiment;  // empty where the record is missing or damaged
  int64_t step = 0;           // of the status or of the newest checkpoint, whichever is later
  std::optional<TrialResults> results;  // none of a run that failed
  int64_t changed = 0;  // seconds since 1970: its last status, or its last row while it trains
  int64_t bytes = 0;    // of all files in it
};

struct FoundRuns {
  std::vector<FoundRun> runs;         // the newest first
  std::vector<std::string> left_out;  // "runs/notes: no run": folders without a run, and links
};

// The runs below `folder`, those of studies too: folders with a status or a config.resolved.toml. Folders
// that were kept aside count as left out. Throws Error (Exit::data) where there is no such folder.
FoundRuns find_runs(const std::string& folder);

// The headline number with the first column; nothing without one.
struct Headline {
  std::string metric;
  Measure measure;
  double value = 0;
};
std::optional<Headline> headline_of(const TrialResults& results);

// The best run by its headline number of each data set and protocol, and how many it is the best of; of
// equals the first of `runs`. Runs without such a number, or with one that has no better, take no part.
struct BestRun {
  const FoundRun* run = nullptr;
  int64_t of = 0;
};
std::vector<BestRun> best_runs(const std::vector<const FoundRun*>& runs);

}  // namespace foil
