// SPDX-License-Identifier: BSD-3-Clause
// foil evaluate: the numbers of a checkpoint. They are printed before anything is written, and what --set
// changed is kept with them.
#include "data/record.h"
#include "evaluate/results.h"
#include "experiment/evaluation.h"
#include "program/commands.h"
#include "program/start.h"
#include "ranks/launch.h"
#include "resume.h"
#include "run/file.h"
#include "run/json.h"
#include "run/run_folder.h"
#include "run/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

namespace foil {
namespace {

namespace fs = std::filesystem;

// evaluation-step20.json; where --set made it another evaluation, the same with a name for what was set.
std::string file_of(const EvaluateCommand& options, int64_t step) {
  if (!options.out.empty()) return options.out;
  std::string sets;
  for (const std::string& set : options.sets) sets += set + "\n";
  const std::string other = sets.empty() ? "" : "-set-" + checksum(sets).substr(checksum("").find(':') + 1);
  return fmt::format("{}/evaluation-step{}{}.json", options.run, step, other);
}

void print_and_write(const EvaluateCommand& options, nlohmann::json results, int64_t step) {
  for (const std::string& set : options.sets) results["set"].push_back(printable(set));
  if (!options.checkpoint.empty()) results["checkpoint"] = printable(options.checkpoint);
  std::printf("%s\n", printable(options.run).c_str());
  print_results(results);
  const std::string file = file_of(options, step);
  try {
    write_atomically(file, results.dump(2) + "\n");
  } catch (const Error& error) {
    fail(error.code(), error.what(), ". The numbers are printed; --out FILE writes them elsewhere.");
  }
  std::printf("%s\n", printable(file).c_str());
}

// Counts the data, and says when it is not what the run was trained on.
void say_data(const EvaluateCommand& options, const Experiment& experiment) {
  const nlohmann::json data = data_record(experiment.plan.data.component->name, *experiment.whole);
  std::fprintf(stderr, "%s\n", data_line(data).c_str());
  const std::string file = options.run + "/data.json";
  std::error_code none;
  const std::string difference =
      fs::exists(file, none) ? data_difference(parse_json(read_record(file), file), data) : "";
  if (!difference.empty()) std::fprintf(stderr, "not the data of the run: %s\n", difference.c_str());
}

}  // namespace

void require_run(const std::string& folder) {
  std::error_code none;
  if (const std::string config = folder + "/config.resolved.toml"; fs::exists(config, none)) {
    read_record(config);  // refuses what is no file
    return;
  }
  std::vector<std::string> runs;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const std::string name = entry.path().filename();
    if (!is_kept_aside(name) && fs::exists(entry.path() / "config.resolved.toml", none)) runs.push_back(name);
  }
  if (runs.empty()) return;
  std::sort(runs.begin(), runs.end());
  std::string names;
  for (const std::string& name : runs) names += (names.empty() ? "" : ", ") + name;
  fail(Exit::usage, folder, ": holds the runs ", names, ": name one, such as ",
       (fs::path(folder) / runs[0]).lexically_normal().string(), ".");
}

int evaluate_command(const EvaluateCommand& options) {
  const Launch launch = read_launch();
  const Trial trial = pick_trial(options.run + "/config.resolved.toml", options.sets, "");
  Plan plan = check(trial.root, options.find);
  set_threads(plan, launch);
  const at::Device device = choose_device(options.device, launch.local_rank);
  const std::shared_ptr<World> world =
      World::make(launch, device, std::chrono::seconds(static_cast<int64_t>(plan.run.timeout)));
  Experiment experiment = build(std::move(plan), device);
  const Checkpoint checkpoint = find_checkpoint(options.run, options.checkpoint);
  restore_weights(checkpoint, experiment.modules());
  if (world->rank() == 0 && !options.quiet) say_data(options, experiment);
  const nlohmann::json measured =
      evaluate_tower(experiment, *world, evaluation_progress(*world, options.quiet));
  if (world->rank() == 0)
    print_and_write(options, results_of(data_of(experiment), measured, checkpoint.step, {}), checkpoint.step);
  world->close();
  return 0;
}

}  // namespace foil
