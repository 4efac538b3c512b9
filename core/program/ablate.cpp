// SPDX-License-Identifier: BSD-3-Clause
// foil ablate and foil compare: every trial of a sweep in a process of its own, the baselines beside them,
// one table.
#include "config/dump.h"
#include "evaluate/results.h"
#include "experiment/evaluation.h"
#include "program/commands.h"
#include "program/same_run.h"
#include "program/start.h"
#include "ranks/spawn.h"
#include "run/file.h"
#include "run/json.h"
#include "run/run_folder.h"
#include "run/text.h"
#include "study/report.h"
#include "study/study.h"
#include "study/table.h"
#include "study/trial_results.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <limits>
#include <sstream>

namespace foil {
namespace {

namespace fs = std::filesystem;

// While it lives, what goes to stdout goes to stderr, or nowhere when quiet: the trials' own results are not
// this command's.
class StdoutToStderr {
 public:
  explicit StdoutToStderr(bool quiet) : saved_((std::fflush(stdout), ::dup(STDOUT_FILENO))) {
    const int nowhere = quiet ? ::open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
    ::dup2(nowhere >= 0 ? nowhere : STDERR_FILENO, STDOUT_FILENO);
    if (nowhere >= 0) ::close(nowhere);
  }
  ~StdoutToStderr() {
    std::fflush(stdout);
    ::dup2(saved_, STDOUT_FILENO);
    ::close(saved_);
  }

 private:
  int saved_;
};

std::map<std::string, std::string> read_config(const std::string& path) {
  return flatten(read_experiment_record(path));
}

// Of all that a result may depend on: not of where the study and the plugins lie, so that a study goes on in
// another clone.
std::string config_hash(const Plan& plan) {
  record_of(plan);  // refuses what no trial could record, before any runs
  Node resolved = plan.resolved;
  if (Node* run = resolved.find("run")) run->erase("output");
  resolved.erase("plugins");
  return checksum(dump(resolved, false));
}

// What identifies the data of trials, as it is now: opened when first asked for, once for equal options of
// the data set.
class DataNow {
 public:
  // Empty where it is not known or cannot be read: the trial that reads it says why.
  const std::string& identity(const Plan& plan) {
    Node table = plan.data.table;
    for (const char* of_the_host : {"batch_size", "subset", "imbalance"}) table.erase(of_the_host);
    const auto [known, is_new] = known_.emplace(dump(table, false), "");
    try {
      if (is_new) known->second = plan.data.make<Dataset>()->identity();
    } catch (const std::exception&) {
    }
    return known->second;
  }

 private:
  std::map<std::string, std::string> known_;
};

// The data of each complete trial, by its name; empty where its results do not say.
std::map<std::string, std::string> data_of_complete(const TrialStore& store) {
  std::map<std::string, std::string> data;
  for (const TrialRecord& record : store.trials()) {
    if (record.state == TrialState::complete)
      data[record.name] = parse_results(record.results, record.name).data;
  }
  return data;
}

// A study does not go on with other data than its complete trials had.
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

// Whether a baseline was measured by the same experiment and, where both are known, on the same data; what is
// damaged was not.
bool measured_before(const std::string& file, const std::string& hash, const std::string& data) {
  try {
    const nlohmann::json results = parse_json(read_record(file), file);
    const std::string had = parse_results(results.dump(), file).data;
    return results.at("config") == hash && (data.empty() || had.empty() || data == had);
  } catch (const std::exception&) {
    return false;
  }
}

// Evaluates without training, unless the same was done before.
void evaluate_baseline(const std::string& folder, const std::string& hash, const std::string& data,
                       const std::function<nlohmann::json()>& measure) {
  const std::string file = folder + "/results.json";
  if (fs::exists(file) && measured_before(file, hash, data)) return;
  fs::create_directories(folder);
  nlohmann::json results = measure();
  results["config"] = hash;
  write_atomically(file, results.dump(2) + "\n");
}

// Raw pixels once, where there is one modality, and the untrained encoder of the first variant with each of
// its seeds: the same evaluator as for the trials.
void baselines(const AblateOptions& options, const std::vector<Trial>& trials, const std::string& study,
               const std::string& data) {
  const std::shared_ptr<World> alone = World::single();
  bool first = true;
  for (const Trial& trial : trials) {
    if (trial.variant != trials.front().variant) continue;
    Plan plan = check(trial.root, options.find);
    const std::string hash = config_hash(plan);
    const auto measure = [&](bool pixels) {
      if (!options.quiet)
        std::fprintf(stderr, "baseline: %s seed %ld\n", pixels ? "raw pixels" : "untrained",
                     static_cast<long>(trial.seed));
      Experiment experiment = build(check(trial.root, options.find), at::kCPU);
      const nlohmann::json measured =
          pixels ? evaluate_pixels(experiment, *alone, {}) : evaluate_tower(experiment, *alone, {});
      return results_of(data_of(experiment), measured, 0, {});
    };
    if (first && !plan.views.several_modalities())
      evaluate_baseline(study + "/baselines/raw-pixels", hash, data, [&] { return measure(true); });
    evaluate_baseline(fmt::format("{}/baselines/untrained-seed{}", study, trial.seed), hash, data,
                      [&] { return measure(false); });
    first = false;
  }
}

// Whether the run in `folder` could go on as this experiment: it began with the same past.
bool same_past(const std::string& folder, const Plan& plan) {
  return compare_experiments(folder, record_of(plan), std::numeric_limits<int64_t>::max()).past.empty();
}

// A trial that failed and whose experiment was mended since begins anew; its old folder is kept aside.
bool begins_anew(const std::string& folder, const Plan& plan) {
  try {
    const std::optional<Status> status = read_status(folder);
    return status && status->state == RunState::failed && steps_made(folder) > 0 && !same_past(folder, plan);
  } catch (const Error&) {
    return false;  // what is damaged there, the trial itself says
  }
}

// Complete trials whose experiment now differs in its rest only (more steps, another evaluation) wait again:
// they go on, and what was trained is kept.
void reopen_changed(TrialStore& store, const std::vector<PlannedTrial>& planned,
                    const std::function<Plan(size_t)>& plan_of) {
  std::map<std::string, size_t> place;
  for (size_t i = 0; i < planned.size(); ++i) place[planned[i].name] = i;
  for (const TrialRecord& record : store.trials()) {
    const auto found = place.find(record.name);
    if (record.state != TrialState::complete || found == place.end()) continue;
    if (planned[found->second].config_hash == record.config_hash || steps_made(record.folder) == 0) continue;
    if (same_past(record.folder, plan_of(found->second))) store.reopen(record.name);
  }
}

// Where the processes of a trial leave why they failed: in a file that the variable of torchrun names to
// them.
class LastWords {
 public:
  explicit LastWords(const std::string& study) : path_(study + "/last-words.json") {
    remove();  // those of an earlier study that was killed
    if (const char* before = std::getenv(kVariable)) before_ = before;
    ::setenv(kVariable, path_.c_str(), 1);
  }
  ~LastWords() {
    before_ ? ::setenv(kVariable, before_->c_str(), 1) : ::unsetenv(kVariable);
    remove();
  }
  LastWords(const LastWords&) = delete;
  LastWords& operator=(const LastWords&) = delete;

  std::string read() const {  // empty when there are none
    try {
      return parse_json(read_record(path_), path_).at("message").at("message").get<std::string>();
    } catch (const std::exception&) {
      return "";
    }
  }

 private:
  void remove() const {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }

  static constexpr const char* kVariable = "TORCHELASTIC_ERROR_FILE";
  std::string path_;
  std::optional<std::string> before_;
};

// Trains one trial in processes of its own. Returns their exit code, or throws what they said of their
// failure.
int run_trial(const AblateOptions& options, const std::string& study, const std::string& name, bool anew) {
  std::vector<std::string> arguments{"foil", "train", options.file, "--trial", name};
  arguments.insert(arguments.end(), options.passed_on.begin(), options.passed_on.end());
  if (anew) arguments.push_back("--restart");
  const StdoutToStderr only_stderr(options.quiet);
  const LastWords words(study);
  const int code = spawn_ranks(options.nproc, arguments);
  const bool stopped = code == static_cast<int>(Exit::interrupted) || code == static_cast<int>(Exit::again);
  if (const std::string reason = words.read(); code != 0 && !stopped && !reason.empty())
    throw Error(reason, static_cast<Exit>(code));
  return code;
}

}  // namespace

int ablate_command(const AblateOptions& options) {
  const std::vector<Trial> trials = load_trials(options.file, options.sets);
  std::vector<PlannedTrial> planned;
  std::string study;
  bool with_baselines = false;
  for (const Trial& trial : trials) {  // all are checked before any runs
    Plan plan = check(trial.root, options.find);
    study = (fs::path(plan.run.output) / plan.run.name).lexically_normal().string();
    with_baselines = plan.evaluate.baselines;
    planned.push_back(
        {trial.name, trial.variant, trial.seed, config_hash(plan), std::max<int64_t>(plan.run.steps, 0)});
    if (options.dry_run) planned.back().steps = build(std::move(plan), at::kCPU).total_steps;
  }
  if (options.dry_run) {
    const bool there = TrialStore::exists(study);
    std::printf("%s", dry_run(planned, there ? TrialStore(study, TrialStore::Access::read).trials()
                                             : std::vector<TrialRecord>{})
                          .c_str());
    return 0;
  }
  std::printf("%s\n", printable(study).c_str());
  if (options.restart && fs::exists(study)) {
    { const TrialStore held(study); }  // refuses while another process works on it
    const std::string line = study + ": the old study is kept as " + keep_aside(study);
    if (!options.quiet) std::fprintf(stderr, "%s\n", printable(line).c_str());
  }
  fs::create_directories(study);
  TrialStore store(study);
  const auto plan_of = [&](size_t i) { return check(trials[i].root, options.find); };
  reopen_changed(store, planned, plan_of);
  // The data is opened only where something is left to be run on it.
  const std::map<std::string, std::string> complete = data_of_complete(store);
  const bool goes_on = std::any_of(trials.begin(), trials.end(),
                                   [&](const Trial& trial) { return !complete.contains(trial.name); });
  DataNow now;
  if (goes_on) check_same_data(trials, plan_of, study, complete, now);
  if (with_baselines) baselines(options, trials, study, goes_on ? now.identity(plan_of(0)) : "");

  const auto run = [&](const PlannedTrial& trial, const std::string& folder) {
    const auto at = std::find_if(planned.begin(), planned.end(),
                                 [&](const PlannedTrial& one) { return one.name == trial.name; });
    return run_trial(options, study, trial.name,
                     begins_anew(folder, plan_of(static_cast<size_t>(at - planned.begin()))));
  };
  std::ostringstream unsaid;
  const int code =
      run_study(planned, run, store, options.quiet ? static_cast<std::ostream&>(unsaid) : std::cerr);
  if (code != 0 && code != 1) {
    std::fprintf(stderr, "stopped; the same command goes on with the study\n");
    return code;
  }
  const Comparison comparison = load_comparison({study}, read_config);
  std::printf("%s", render(comparison, Format::table).c_str());
  std::printf("%s\n",
              printable(write_report(comparison, fs::path(study).filename().string(), study)).c_str());
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
