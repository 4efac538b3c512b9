// SPDX-License-Identifier: BSD-3-Clause
// Whether a study goes on: with the data that its complete trials had, and with experiments that have the
// past of what was trained.
#pragma once

#include "config/sweep.h"
#include "experiment/experiment.h"
#include "study/store.h"

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace foil {

// All that a result may depend on, as TOML: not where the study and the plugins lie, so that a study goes on
// in another clone. Throws Error (Exit::usage) for an experiment that no trial could record.
std::string config_of(const Plan& plan);

// What identifies the data of trials, as it is now: opened when first asked for, once for equal options of
// the data set.
class DataNow {
 public:
  // Empty where it is not known or cannot be read: the trial that reads it says why.
  const std::string& identity(const Plan& plan);

 private:
  std::map<std::string, std::string> known_;
};

// The data of each complete trial, by its name; empty where its results do not say.
std::map<std::string, std::string> data_of_complete(const TrialStore& store);

// Throws Error (Exit::usage) where the data differs from what complete trials had.
void check_same_data(const std::vector<Trial>& trials, const std::function<Plan(size_t)>& plan_of,
                     const std::string& study, const std::map<std::string, std::string>& complete,
                     DataNow& now);

// Whether the run in `folder` failed and the experiment was mended since, so that it cannot go on: it begins
// anew, and its old folder is kept aside.
bool begins_anew(const std::string& folder, const std::function<Plan()>& plan);

// Complete trials whose run is there and whose experiment now differs in its rest only (more steps, another
// evaluation) wait again: they go on, and what was trained is kept. One that differs in nothing but options
// younger than its record, which nobody gives, keeps that record. Any other difference is an Error
// (Exit::usage) that names it.
void hold_against_complete(TrialStore& store, std::vector<PlannedTrial>& planned,
                           const std::function<Plan(size_t)>& plan_of);

}  // namespace foil
