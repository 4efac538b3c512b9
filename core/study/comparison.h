// SPDX-License-Identifier: BSD-3-Clause
// What is compared: variants, each with its metrics by seed, gathered from study folders and single run
// folders.
#pragma once

#include "evaluate/measure.h"
#include "study/labels.h"
#include "study/sample_hits.h"
#include "study/statistics.h"
#include "study/trial_results.h"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace foil {

// A trial that has no results (yet).
struct Unfinished {
  int64_t seed = 0;
  std::string state, reason;  // state as in the store or the run's status, or "killed"
};

// A headline metric while a trial trained (evaluate.every_epochs), on a part of the data.
struct Online {
  double last = 0, best = 0;
  int64_t best_epoch = 0;  // from 1 on
};

// What a trial took; 0 where it is not known.
struct Effort {
  double seconds = 0;
  int64_t samples = 0, peak_memory = 0;  // that it trained on; bytes
  std::map<std::string, Online> online;  // by metric
};

// TrialResults::roc and ::confusion of trials, by metric.
struct Outcomes {
  std::map<std::string, std::vector<Curve>> roc;
  std::map<std::string, std::vector<Counts>> confusion;
};

// One variant under one evaluation protocol, on one data set.
struct Row {
  std::string name;
  std::string protocol;   // id from results.json, empty when no trial has results
  bool baseline = false;  // raw pixels, untrained: a reference that was not trained, never tested against
  std::map<std::string, BySeed> metrics;
  std::vector<Unfinished> unfinished;
  std::map<int64_t, std::string> folders;  // by seed, of the trials with results
  std::map<std::string, std::string>
      config;        // dotted key -> value as TOML, of the first trial that has it in its folder or its study
  std::string data;  // TrialResults::data, empty when no trial knows; a trial that does not goes with any
  std::map<std::string, Measure> measures;  // what its trials say of their metrics, the first that says it
  std::string variant = {};                 // the name without the place that may lead it
  std::map<int64_t, Effort> efforts = {};   // by seed, of the trials with results
  std::string plain = {};                   // `variant` before it got a label
  std::map<std::string, std::map<int64_t, Hits>> hits = {};  // by metric and seed, where they were kept
  Outcomes outcomes = {};
};

struct Comparison {
  std::vector<Row> rows;  // baselines first, then the variants in the order of the plan
  Labels labels = {};
};

// Reads the text of a resolved experiment into dotted keys and values as TOML; `place` is for messages.
using ReadConfig =
    std::function<std::map<std::string, std::string>(const std::string& text, const std::string& place)>;

// Each folder is a study (study.sqlite, and baselines/NAME[-seedN]/results.json, dashes standing for blanks),
// a run (results.json, status or config.resolved.toml) or a folder of runs. A trial of a study may be given
// alone; a run outside a study takes its variant from run.name and its seed from run.seed. A variant name
// that comes from two places is written PLACE/NAME. Labels are those of all studies together. Two runs of one
// variant with one seed, and a folder that is nothing of this, are Errors.
Comparison load_comparison(const std::vector<std::string>& folders, const ReadConfig& read_config);

// The same with variants and metrics under their labels.
Comparison labelled(const Comparison& comparison);

}  // namespace foil
