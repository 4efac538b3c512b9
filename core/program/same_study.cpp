// SPDX-License-Identifier: BSD-3-Clause
// What a study recorded, held against what it is asked for now.
#include "program/same_study.h"

#include "config/dump.h"
#include "program/same_run.h"
#include "program/start.h"
#include "run/file.h"
#include "run/run_folder.h"
#include "study/trial_results.h"

#include <limits>

namespace foil {
namespace {

// Whether the run in `folder` could go on as this experiment: it began with the same past.
bool same_past(const std::string& folder, const Plan& plan) {
  return compare_experiments(folder, plan.resolved, std::numeric_limits<int64_t>::max()).past.empty();
}

// The experiment without where its study and its plugins lie.
Node placeless(const Plan& plan) {
  Node resolved = plan.resolved;
  if (Node* run = resolved.find("run")) run->erase("output");
  resolved.erase("plugins");
  return resolved;
}

}  // namespace

std::string config_of(const Plan& plan) {
  record_of(plan);  // refuses what no trial could record, before any runs
  return dump(placeless(plan), false);
}

const std::string& DataNow::identity(const Plan& plan) {
  Node table = plan.data.table;
  for (const char* of_the_host : {"batch_size", "subset", "imbalance"}) table.erase(of_the_host);
  const auto [known, is_new] = known_.emplace(dump(table, false), "");
  try {
    if (is_new) known->second = plan.data.make<Dataset>()->identity();
  } catch (const std::exception&) {
  }
  return known->second;
}

std::map<std::string, std::string> data_of_complete(const TrialStore& store) {
  std::map<std::string, std::string> data;
  for (const TrialRecord& record : store.trials()) {
    if (record.state == TrialState::complete)
      data[record.name] = parse_results(record.results, record.name).data;
  }
  return data;
}

void check_same_data(const std::vector<Trial>& trials, const std::function<Plan(size_t)>& plan_of,
                     const std::string& study, const std::map<std::string, std::string>& complete,
                     DataNow& now) {
  for (size_t i = 0; i < trials.size(); ++i) {
    const auto was = complete.find(trials[i].name);
    if (was == complete.end() || was->second.empty()) continue;
    const std::string& is = now.identity(plan_of(i));
    if (is.empty() || is == was->second) continue;
    fail(Exit::usage, study, ": the data differs: was ", was->second, " for the trial '", trials[i].name,
         "', is ", is, ". Put the old data back, or --restart to keep the old study aside and begin anew.");
  }
}

bool begins_anew(const std::string& folder, const std::function<Plan()>& plan) {
  try {
    const std::optional<Status> status = read_status(folder);
    return status && status->state == RunState::failed && steps_made(folder) > 0 &&
           !same_past(folder, plan());
  } catch (const Error&) {
    return false;  // what is damaged there, the trial itself says
  }
}

void hold_against_complete(TrialStore& store, std::vector<PlannedTrial>& planned,
                           const std::function<Plan(size_t)>& plan_of) {
  std::map<std::string, size_t> place;
  for (size_t i = 0; i < planned.size(); ++i) place[planned[i].name] = i;
  for (const TrialRecord& record : store.trials()) {
    const auto found = place.find(record.name);
    if (record.state != TrialState::complete || found == place.end()) continue;
    std::string& config = planned[found->second].config;
    if (config == record.config || checksum(config) == record.config) continue;
    const Plan plan = plan_of(found->second);
    std::string changes;
    if (!is_checksum(record.config)) {
      const Node before = experiment_record(record.config, store.folder() + ": trial '" + record.name + "'");
      for (const std::string& change : differences_from(before, placeless(plan)))
        changes += (changes.empty() ? ": " : ", ") + change;
      if (changes.empty()) {
        config = record.config;
        continue;
      }
    }
    if (steps_made(record.folder) > 0 && same_past(record.folder, plan)) {
      store.reopen(record.name);
      continue;
    }
    fail(Exit::usage, store.folder(), ": trial '", record.name, "' is complete with another configuration",
         changes, ". Give the study another name, or start it anew with --restart.");
  }
}

}  // namespace foil
