// SPDX-License-Identifier: BSD-3-Clause
// foil ablate and foil compare: every trial of a sweep in a process of its own, the baselines beside them, one table.
#include "commands.h"
#include "config/dump.h"
#include "config/parse.h"
#include "evaluation.h"
#include "ranks/spawn.h"
#include "results.h"
#include "run/file.h"
#include "run/run_folder.h"
#include "study/report.h"
#include "study/study.h"
#include "study/table.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <unistd.h>

namespace foil {
namespace {

namespace fs = std::filesystem;

// While it lives, what goes to stdout goes to stderr: the trials' own results are not this command's.
class StdoutToStderr {
 public:
  StdoutToStderr() : saved_((std::fflush(stdout), ::dup(STDOUT_FILENO))) { ::dup2(STDERR_FILENO, STDOUT_FILENO); }
  ~StdoutToStderr() {
    std::fflush(stdout);
    ::dup2(saved_, STDOUT_FILENO);
    ::close(saved_);
  }

 private:
  int saved_;
};

std::map<std::string, std::string> read_config(const std::string& path) { return flatten(parse_toml(read_file(path), path)); }

// Of all that a result may depend on: not of where the study and the plugins lie, so that a study goes on in another clone.
std::string config_hash(const Plan& plan) {
  Node resolved = plan.resolved;
  if (Node* run = resolved.find("run")) run->erase("output");
  resolved.erase("plugins");
  return checksum(dump(resolved, false));
}

// Evaluates without training, unless the same was done before.
void evaluate_baseline(const std::string& folder, const std::string& hash, const std::function<nlohmann::json()>& measure) {
  const std::string file = folder + "/results.json";
  if (fs::exists(file) && nlohmann::json::parse(read_file(file)).value("config", "") == hash) return;
  fs::create_directories(folder);
  nlohmann::json results = measure();
  results["config"] = hash;
  write_atomically(file, results.dump(2) + "\n");
}

// Raw pixels once, and the untrained encoder of the first variant with each of its seeds: the same evaluator as for the trials.
void baselines(const AblateOptions& options, const std::vector<Trial>& trials, const std::string& study) {
  const std::shared_ptr<World> alone = World::single();
  bool first = true;
  for (const Trial& trial : trials) {
    if (trial.variant != trials.front().variant) continue;
    Plan plan = check(trial.root, options.find);
    const std::string hash = config_hash(plan);
    const auto measure = [&](bool pixels) {
      if (!options.quiet)
        std::fprintf(stderr, "baseline: %s seed %ld\n", pixels ? "raw pixels" : "untrained", static_cast<long>(trial.seed));
      Experiment x = build(check(trial.root, options.find), at::kCPU);
      const nlohmann::json measured = pixels ? evaluate_pixels(x, *alone, {}) : evaluate_tower(x, *alone, {});
      return results_of(x.plan, measured, 0, {});
    };
    if (first) evaluate_baseline(study + "/baselines/raw-pixels", hash, [&] { return measure(true); });
    evaluate_baseline(fmt::format("{}/baselines/untrained-seed{}", study, trial.seed), hash, [&] { return measure(false); });
    first = false;
  }
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
    planned.push_back({trial.name, trial.variant, trial.seed, config_hash(plan), std::max<int64_t>(plan.run.steps, 0)});
    if (options.dry_run) planned.back().steps = build(std::move(plan), at::kCPU).total_steps;
  }
  if (options.dry_run) {
    const bool there = TrialStore::exists(study);
    std::printf(
        "%s", dry_run(planned, there ? TrialStore(study, TrialStore::Access::read).trials() : std::vector<TrialRecord>{}).c_str());
    return 0;
  }
  std::printf("%s\n", study.c_str());
  if (options.restart && fs::exists(study)) {
    { const TrialStore held(study); }  // refuses while another process works on it
    std::fprintf(stderr, "%s: the old study is kept as %s\n", study.c_str(), keep_aside(study).c_str());
  }
  fs::create_directories(study);
  TrialStore store(study);
  if (with_baselines) baselines(options, trials, study);

  const auto run = [&](const PlannedTrial& trial, const std::string&) {
    std::vector<std::string> arguments{"foil", "train", options.file, "--trial", trial.name};
    arguments.insert(arguments.end(), options.passed_on.begin(), options.passed_on.end());
    const StdoutToStderr only_stderr;
    return spawn_ranks(options.nproc, arguments);
  };
  const int code = run_study(planned, run, store, std::cerr);
  if (code != 0 && code != 1) {
    std::fprintf(stderr, "stopped; the same command goes on with the study\n");
    return code;
  }
  const Comparison comparison = load_comparison({study}, read_config);
  std::printf("%s", render(comparison, Format::table).c_str());
  std::printf("%s\n", write_report(comparison, fs::path(study).filename().string(), study).c_str());
  return code;
}

int compare_command(const CompareOptions& options) {
  const Format format = parse_format(options.format);
  const Comparison comparison = load_comparison(options.folders, read_config);
  std::printf("%s", render(comparison, format, options.reference).c_str());
  if (!options.report.empty()) {
    fs::create_directories(options.report);
    std::fprintf(stderr, "%s\n", write_report(comparison, "comparison", options.report, options.reference).c_str());
  }
  return 0;
}

}  // namespace foil
