// SPDX-License-Identifier: BSD-3-Clause
// foil ablate and foil compare: every trial of a sweep in a process of its own, the baselines beside them,
// one table.
#include "config/dump.h"
#include "program/baselines.h"
#include "program/commands.h"
#include "program/cores.h"
#include "program/lanes.h"
#include "program/same_run.h"
#include "program/same_study.h"
#include "program/start.h"
#include "run/run_folder.h"
#include "run/text.h"
#include "study/report.h"
#include "study/study.h"
#include "study/table.h"

#include <torch/cuda.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <sstream>

namespace foil {
namespace {

namespace fs = std::filesystem;

std::map<std::string, std::string> read_config(const std::string& path) {
  return flatten(read_experiment_record(path));
}

// A study as its file asks for it.
struct Study {
  std::vector<Trial> trials;
  std::vector<PlannedTrial> planned;  // as many
  std::string folder;
  bool baselines = false;
};

// All trials are checked before any runs.
Study plan_study(const AblateOptions& options) {
  Study study;
  study.trials = load_trials(options.file, options.sets);
  for (const Trial& trial : study.trials) {
    Plan plan = check(trial.root, options.find);
    study.folder = (fs::path(plan.run.output) / plan.run.name).lexically_normal().string();
    study.baselines = plan.evaluate.baselines;
    study.planned.push_back(
        {trial.name, trial.variant, trial.seed, config_hash(plan), std::max<int64_t>(plan.run.steps, 0)});
    if (options.dry_run) study.planned.back().steps = build(std::move(plan), at::kCPU).total_steps;
  }
  return study;
}

void print_dry_run(const Study& study) {
  std::vector<TrialRecord> known;
  if (TrialStore::exists(study.folder)) known = TrialStore(study.folder, TrialStore::Access::read).trials();
  std::printf("%s", dry_run(study.planned, known).c_str());
}

void keep_old_study(const std::string& folder, bool quiet) {
  { const TrialStore held(folder); }  // refuses while another process works on it
  const std::string line = folder + ": the old study is kept as " + keep_aside(folder);
  if (!quiet) std::fprintf(stderr, "%s\n", printable(line).c_str());
}

// What each of the lanes gets of this machine.
Lanes::Options share_machine(const AblateOptions& options) {
  Lanes::Options shares{options.parallel, options.nproc, usable_cores(), {}, options.quiet};
  if (options.parallel > 1 && options.device != "cpu" && torch::cuda::is_available()) {
    const auto devices =
        cuda_devices(std::getenv("CUDA_VISIBLE_DEVICES"), static_cast<int>(torch::cuda::device_count()));
    shares.devices = share_devices(devices, options.parallel, options.nproc, options.per_gpu);
  }
  return shares;
}

// The arguments of the process of one trial, which goes on with what its folder holds.
std::vector<std::string> train_arguments(const AblateOptions& options, const Study& study,
                                         const PlannedTrial& trial, const std::string& folder) {
  std::vector<std::string> arguments{"foil", "train", options.file, "--trial", trial.name};
  arguments.insert(arguments.end(), options.passed_on.begin(), options.passed_on.end());
  if (options.nproc > 1) arguments.insert(arguments.end(), {"--nproc", std::to_string(options.nproc)});
  const auto at = std::find_if(study.trials.begin(), study.trials.end(),
                               [&](const Trial& one) { return one.name == trial.name; });
  if (begins_anew(folder, check(at->root, options.find))) arguments.push_back("--restart");
  return arguments;
}

void print_comparison(const std::string& folder) {
  const Comparison comparison = load_comparison({folder}, read_config);
  std::printf("%s", render(comparison, Format::table).c_str());
  std::printf("%s\n",
              printable(write_report(comparison, fs::path(folder).filename().string(), folder)).c_str());
}

}  // namespace

int ablate_command(const AblateOptions& options) {
  const Study study = plan_study(options);
  if (options.dry_run) {
    print_dry_run(study);
    return 0;
  }
  const Lanes::Options shares = share_machine(options);
  std::printf("%s\n", printable(study.folder).c_str());
  if (options.restart && fs::exists(study.folder)) keep_old_study(study.folder, options.quiet);
  fs::create_directories(study.folder);
  TrialStore store(study.folder);
  const auto plan_of = [&](size_t i) { return check(study.trials[i].root, options.find); };
  reopen_changed(store, study.planned, plan_of);
  // The data is opened only where something is left to be run on it.
  const std::map<std::string, std::string> complete = data_of_complete(store);
  const bool goes_on = std::any_of(study.trials.begin(), study.trials.end(),
                                   [&](const Trial& trial) { return !complete.contains(trial.name); });
  DataNow now;
  if (goes_on) check_same_data(study.trials, plan_of, study.folder, complete, now);
  if (study.baselines)
    measure_baselines(options.find, options.quiet, study.trials, study.folder,
                      goes_on ? now.identity(plan_of(0)) : "");

  std::ostringstream unsaid;
  const int code = [&] {
    StoreBooks books(study.planned, store);
    Lanes lanes(shares, [&](const PlannedTrial& trial, const std::string& folder) {
      return train_arguments(options, study, trial, folder);
    });
    return run_study(study.planned, lanes, books,
                     options.quiet ? static_cast<std::ostream&>(unsaid) : std::cerr);
  }();
  if (code != 0 && code != 1) {
    std::fprintf(stderr, "stopped; the same command goes on with the study\n");
    return code;
  }
  print_comparison(study.folder);
  return code;
}

int compare_command(const CompareOptions& options) {
  const Format format = parse_format(options.format);
  const Comparison comparison = load_comparison(options.folders, read_config);
  std::printf("%s", render(comparison, format, options.reference).c_str());
  if (!options.report.empty()) {
    fs::create_directories(options.report);
    const std::string path = write_report(comparison, "comparison", options.report, options.reference);
    std::fprintf(stderr, "%s\n", printable(path).c_str());
  }
  return 0;
}

}  // namespace foil
