// SPDX-License-Identifier: BSD-3-Clause
// foil ablate and foil compare: every trial of a sweep in a process of its own, the baselines beside them,
// one table.
#include "config/dump.h"
#include "program/baselines.h"
#include "program/commands.h"
#include "program/lanes.h"
#include "program/png.h"
#include "program/report_record.h"
#include "program/same_run.h"
#include "program/same_study.h"
#include "program/slurm.h"
#include "program/start.h"
#include "run/cores.h"
#include "run/file.h"
#include "run/run_folder.h"
#include "run/text.h"
#include "study/report.h"
#include "study/shared_books.h"
#include "study/study.h"
#include "study/table.h"
#include "train.h"

#include <torch/cuda.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <set>
#include <sstream>
#include <thread>

namespace foil {
namespace {

namespace fs = std::filesystem;

std::map<std::string, std::string> read_config(const std::string& text, const std::string& place) {
  return flatten(experiment_record(text, place));
}

// What the trial keeps on disk when it is through, to a few kB.
int64_t checkpoints_of(const Experiment& experiment) {
  const Plan& plan = experiment.plan;
  const int64_t every = plan.checkpoint.steps(experiment.steps_per_epoch),
                written = (experiment.total_steps + every - 1) / every;
  return std::min(plan.checkpoint.keep, written) * checkpoint_bytes(experiment);
}

// A study as its file asks for it.
struct Study {
  std::vector<Trial> trials;
  std::vector<PlannedTrial> planned;  // as many
  std::string folder;
  bool baselines = false;
  bool prune = false;
  int64_t threads = 1;  // the most that a trial says
  std::string report;   // its record, which the report reads
};

// All trials are checked before any runs.
Study plan_study(const AblateOptions& options) {
  Study study;
  study.trials = load_trials(options.file, options.sets);
  study.report = report_record(options.file, options.sets, study.trials);
  for (const Trial& trial : study.trials) {
    Plan plan = check(trial.root, options.find);
    study.folder = (fs::path(plan.run.output) / plan.run.name).lexically_normal().string();
    study.baselines = plan.evaluate.baselines;
    study.prune = !trial.pruned.file.empty();
    if (study.prune && plan.evaluate.every_epochs == 0)
      fail(Exit::usage, trial.pruned.text(), ": sweep.prune = \"median\" with evaluate.every_epochs = 0 of '",
           trial.name, "', allowed: with what is measured while training, evaluate.every_epochs >= 1.");
    study.threads = std::max(study.threads, plan.run.threads);
    study.planned.push_back(
        {trial.name, trial.variant, trial.seed, config_of(plan), std::max<int64_t>(plan.run.steps, 0)});
    if (!options.dry_run) continue;
    const Experiment experiment = build(std::move(plan), at::kCPU);
    study.planned.back().steps = experiment.total_steps;
    study.planned.back().disk = checkpoints_of(experiment);
  }
  return study;
}

void print_dry_run(const Study& study, int lanes) {
  std::vector<TrialRecord> known;
  if (TrialStore::exists(study.folder)) known = TrialStore(study.folder, TrialStore::Access::read).trials();
  std::printf("%s", dry_run(study.planned, known, lanes).c_str());
}

void refuse_a_shared_study(const std::string& folder) {
  const Holder worker = Claims::worker_in(folder);
  if (worker.process != 0)
    fail(Exit::failure, folder, ": ", text_of(worker),
         " works on this study with others. Join them by --join, or wait for them.");
}

void keep_old_study(const std::string& folder, bool quiet) {
  {
    const TrialStore held(folder);  // refuses while another process works on it
    refuse_a_shared_study(folder);
  }
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
  if (begins_anew(folder, [&] { return check(at->root, options.find); })) arguments.push_back("--restart");
  return arguments;
}

// The script of an array with as many tasks as find a trial each at the same time.
void print_slurm(const AblateOptions& options, const Study& study) {
  const auto at_a_time = static_cast<size_t>(options.parallel);
  SlurmArray array{fs::path(study.folder).filename(),
                   (study.trials.size() + at_a_time - 1) / at_a_time,
                   study.threads * options.nproc * options.parallel,
                   fs::current_path(),
                   {fs::read_symlink("/proc/self/exe"), "ablate", options.file, "--join"}};
  const std::map<std::string, int> numbers = {
      {"--parallel", options.parallel}, {"--per-gpu", options.per_gpu}, {"--nproc", options.nproc}};
  for (const auto& [name, value] : numbers)
    if (value > 1) array.command.insert(array.command.end(), {name, std::to_string(value)});
  array.command.insert(array.command.end(), options.passed_on.begin(), options.passed_on.end());
  std::printf("%s", slurm_script(array).c_str());
}

// What a study that goes on has done already.
struct Done {
  std::map<std::string, std::string> data;  // of each complete trial
  bool all = false;
};

// Opens what has changed, and refuses other data; the data is opened only where something is left to be run
// on it.
Done look_at_store(const AblateOptions& options, Study& study, TrialStore& store, DataNow& now) {
  const auto plan_of = [&](size_t i) { return check(study.trials[i].root, options.find); };
  hold_against_complete(store, study.planned, plan_of);
  Done done{data_of_complete(store)};
  done.all = std::all_of(study.trials.begin(), study.trials.end(),
                         [&](const Trial& trial) { return done.data.contains(trial.name); });
  if (!done.all) check_same_data(study.trials, plan_of, study.folder, done.data, now);
  return done;
}

void measure(const AblateOptions& options, const Study& study, const Done& done, DataNow& now) {
  measure_baselines(options.find, options.quiet, study.trials, study.folder,
                    done.all ? "" : now.identity(check(study.trials[0].root, options.find)));
}

int run_trials(const AblateOptions& options, const Study& study, Books& books) {
  Lanes lanes(share_machine(options), [&](const PlannedTrial& trial, const std::string& folder) {
    return train_arguments(options, study, trial, folder);
  });
  std::ostringstream unsaid;
  const int code =
      run_study(study.planned, lanes, books, options.quiet ? static_cast<std::ostream&>(unsaid) : std::cerr,
                study.prune ? std::optional<Pruning>(std::in_place) : std::nullopt);
  if (is_stop(code)) std::fprintf(stderr, "stopped; the same command goes on with the study\n");
  return code;
}

void print_comparison(const std::string& folder) {
  const Comparison comparison = load_comparison({folder}, read_config);
  std::printf("%s", render(comparison, Format::table).c_str());
  std::printf("%s\n",
              printable(write_report(comparison, fs::path(folder).filename().string(), folder)).c_str());
}

void write_report_record(const Study& study) {
  write_atomically(study.folder + "/report.json", study.report);
}

// This process alone.
int run_alone(const AblateOptions& options, Study& study) {
  TrialStore store(study.folder);
  refuse_a_shared_study(study.folder);
  write_report_record(study);
  DataNow now;
  const Done done = look_at_store(options, study, store, now);
  if (study.baselines) measure(options, study, done, now);
  StoreBooks books(study.planned, store, study.prune);
  const int code = run_trials(options, study, books);
  if (!is_stop(code)) print_comparison(study.folder);
  return code;
}

constexpr std::chrono::milliseconds kPause{1000};  // between two looks at what others do

// The store, when no other process has it open for writing.
std::unique_ptr<TrialStore> take_turn(const std::string& folder, bool quiet) {
  std::string writer;
  for (int looks = 0;; ++looks) {
    if (auto store = TrialStore::if_free(folder, writer)) return store;
    if (looks == 100 && !quiet)
      std::fprintf(stderr, "%s: waiting for %s, which writes the study\n", printable(folder).c_str(),
                   printable(writer).c_str());
    std::this_thread::sleep_for(kPause / 20);
  }
}

// Measures the baselines unless another process does, or did.
bool share_baselines(const AblateOptions& options, const Study& study, const Done& done, DataNow& now,
                     Claims& claims) {
  static constexpr const char* kName = "baselines";
  std::string all;
  for (const PlannedTrial& trial : study.planned) all += trial.config;
  const std::string config = checksum(all);
  const Claims::Look look = claims.look(kName);
  if (look.state == Claims::State::complete && look.config == config) return true;
  if (look.state == Claims::State::taken || !claims.take(kName, look)) return false;
  measure(options, study, done, now);
  claims.end(kName, Claims::State::complete, config);
  return true;
}

// Together with others: the store is opened at the beginning and at the end, by one process at a time.
int run_joined(const AblateOptions& options, Study& study) {
  DataNow now;
  const Done done = [&] {
    const auto store = take_turn(study.folder, options.quiet);
    Done found = look_at_store(options, study, *store, now);
    store->plan(study.planned);
    write_report_record(study);
    return found;
  }();
  std::set<std::string> complete;
  for (const auto& [name, data] : done.data) complete.insert(name);
  Claims claims(study.folder);
  SharedBooks books(study.planned, study.folder, complete, claims, kPause, study.prune);
  if (study.baselines) share_baselines(options, study, done, now, claims);
  const int code = run_trials(options, study, books);
  if (is_stop(code)) return code;
  while (study.baselines && !share_baselines(options, study, done, now, claims))
    std::this_thread::sleep_for(kPause);
  const auto store = take_turn(study.folder, options.quiet);
  books.record(*store);
  print_comparison(study.folder);
  return code;
}

}  // namespace

int ablate_command(const AblateOptions& options) {
  Study study = plan_study(options);
  if (options.dry_run) {
    print_dry_run(study, options.parallel);
    return 0;
  }
  if (options.slurm) {
    print_slurm(options, study);
    return 0;
  }
  share_machine(options);  // refuses what does not fit, before anything is made
  std::printf("%s\n", printable(study.folder).c_str());
  if (options.restart && fs::exists(study.folder)) keep_old_study(study.folder, options.quiet);
  fs::create_directories(study.folder);
  return options.join ? run_joined(options, study) : run_alone(options, study);
}

int compare_command(const CompareOptions& options) {
  const Format format = parse_format(options.format);
  const Comparison comparison = load_comparison(options.folders, read_config);
  std::printf("%s", render(comparison, format, options.reference).c_str());
  if (!options.report.empty()) {
    fs::create_directories(options.report);
    const std::string path = write_report(comparison, "comparison", options.report, options.reference);
    if (options.png) write_pngs(options.report);
    std::fprintf(stderr, "%s\n", printable(path).c_str());
  }
  return 0;
}

}  // namespace foil
