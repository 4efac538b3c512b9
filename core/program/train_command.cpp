// SPDX-License-Identifier: BSD-3-Clause
// foil train and foil config, and how an error ends the program.
#include "api/plain_words.h"
#include "config/dump.h"
#include "data/record.h"
#include "evaluate/results.h"
#include "experiment/evaluation.h"
#include "experiment/feature_picture.h"
#include "program/commands.h"
#include "program/environment.h"
#include "program/same_run.h"
#include "program/shell.h"
#include "program/start.h"
#include "ranks/agree.h"
#include "ranks/spawn.h"
#include "run/cost.h"
#include "run/file.h"
#include "run/json.h"
#include "run/run_folder.h"
#include "run/text.h"
#include "study/sample_hits.h"
#include "study/trial_results.h"
#include "train.h"

#include <foil/random.h>

#include <c10/core/CachingDeviceAllocator.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

namespace foil {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> plugin_files(const Plan& plan) {
  std::vector<std::string> files{plan.data.component->origin, plan.sampler.component->origin};
  if (plan.tower.encoder.component) files.push_back(plan.tower.encoder.component->origin);
  for (const TowerPlan& tower : plan.towers) files.push_back(tower.encoder.component->origin);
  for (const Chosen& chosen : plan.augment) files.push_back(chosen.component->origin);
  for (const Chosen& chosen : plan.losses) files.push_back(chosen.component->origin);
  return files;
}

// The command that started this process, or the one that started all ranks of this machine.
std::string command_line(const std::vector<std::string>& arguments, const Launch& launch) {
  std::string line;
  for (const std::string& argument : arguments) line += (line.empty() ? "" : " ") + quoted(argument);
  return launch.source == "--nproc" && launch.world_size > 1
             ? fmt::format("{} --nproc {}", line, launch.world_size)
             : line;
}

// What a run has reached, for the status that it leaves.
struct Run {
  std::string command;              // that goes on with it
  std::optional<RunFolder> folder;  // of rank 0, once it is open
  TrainResult trained;
  std::optional<CostRecord> cost;  // of rank 0, once there is something to do
  int64_t batch_size = 0;
  at::Device device = at::kCPU;
};

// What the run has taken until now.
void note_cost(const Run& run) {
  if (!run.cost) return;
  int64_t memory = 0;
  if (!run.device.is_cpu()) {
    const auto stats = c10::getDeviceAllocator(run.device.type())->getDeviceStats(run.device.index());
    memory = stats.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak;
  }
  run.cost->write(run.trained.step * run.batch_size, memory);
}

// As `shown`; and ends the evaluation, on the rank whose signal asks to stop and by its error on all, at its
// next chunk.
EvaluationProgress stoppable(const EvaluationProgress& shown, const SignalScope& signals, const Run& run) {
  return [shown, &signals, &run](const std::string& what, int64_t done, int64_t all) {
    const Stop stop = signals.requested();
    if (stop != Stop::none) {
      fail(stop == Stop::interrupt ? Exit::interrupted : Exit::again, "stopped in the evaluation after step ",
           run.trained.step, ", whose checkpoint is written. To go on: ", run.command);
    }
    if (shown) shown(what, done, all);
  };
}

RunState state_after(Exit code) {
  if (code == Exit::interrupted) return RunState::interrupted;
  return code == Exit::again ? RunState::again : RunState::failed;
}

// Whether a run that has finished left its results whole; when not, says that they are made again.
bool results_are_there(const RunFolder& folder) {
  const std::string path = folder.file("results.json");
  try {
    parse_results(read_record(path), path);
    return true;
  } catch (const Error& error) {
    std::fprintf(stderr, "%s; measured again from the newest checkpoint\n",
                 printable_lines(error.what()).c_str());
    return false;
  }
}

// What of the file of a tower's model.weights is not the encoder's; empty when all of it is.
std::string left_out(const Tower& tower) {
  const std::vector<std::string>& names = tower.weights_left_out();
  if (names.empty()) return "";
  std::string text =
      fmt::format("{}: {} tensors are not the encoder's and were left out: ", tower.weights(), names.size());
  for (size_t i = 0; i < std::min<size_t>(names.size(), 5); ++i) text += (i ? ", " : "") + names[i];
  return text + (names.size() > 5 ? ", ..." : "");
}

// Opens the run folder, on rank 0. False when the run has finished and nothing is left to do.
bool open_folder(Run& run, const TrainOptions& options, const std::string& path,
                 const Experiment& experiment) {
  RunFolder::OpenOptions how;
  how.restart = options.restart;
  how.say = [&](const std::string& line) {
    if (!options.quiet) std::fprintf(stderr, "%s\n", printable_lines(line).c_str());
  };
  how.differences = [&](const std::string&, const std::string&) {
    return compare_experiments(path, experiment.plan.resolved, experiment.total_steps);
  };
  const nlohmann::json data = data_record(experiment.plan.data.component->name, *experiment.whole);
  how.check = [&](const std::string& folder) { check_same_data(folder, data); };
  run.folder.emplace(RunFolder::open(path, record_of(experiment.plan), how));
  std::printf("%s\n", printable(path).c_str());
  std::fflush(stdout);
  if (run.folder->already_finished()) {
    if (results_are_there(*run.folder)) return false;
    run.folder->set_status(RunState::running, run.folder->found()->step);
  }
  run.folder->write_env(environment(plugin_files(experiment.plan)));
  write_atomically(run.folder->file("data.json"), dump_json(data, 2) + "\n");
  how.say(data_line(data));
  for (const Model::Part& part : experiment.model->parts())
    if (const std::string line = left_out(*part.tower); !line.empty()) how.say(line);
  return true;
}

// On several machines a path may lead to other files on each.
void check_ranks_read_the_same(const Experiment& experiment, World& world) {
  if (world.world_size() == 1) return;
  const std::string identity = experiment.whole->identity();
  const int64_t mine = static_cast<int64_t>(name_key(identity));
  const bool same = world.broadcast_int(mine) == mine;
  const std::string error =
      world.first_error(same ? ""
                             : fmt::format("rank {}: {} is other data ({}) than on rank 0.", world.rank(),
                                           experiment.plan.data.place, identity));
  if (!error.empty()) fail(Exit::data, error);
}

// What somebody gave, in a file or on the command line: dotted key -> number, flag or text.
nlohmann::json given(const Node& resolved) {
  nlohmann::json values = nlohmann::json::object();
  for (const auto& [key, text] : flatten(resolved)) {
    const Node* const value = at_path(resolved, key);
    if (!value || value->origin.text() == "default" || key == "run.output") continue;
    if (value->is_flag())
      values[key] = value->flag();
    else if (value->is_number())
      values[key] = value->number();
    else
      values[key] = value->is_text() ? value->text() : text;
  }
  return values;
}

// What training and evaluation came to, on rank 0.
void write_results(const RunFolder& folder, nlohmann::json results, const Node& experiment,
                   Recorder& record) {
  if (!record.missing_rows().empty()) results["missing_rows"] = record.missing_rows();
  const std::string path = folder.file("results.json");
  write_atomically(path, results.dump(2) + "\n");
  record.outcome(results["step"], given(experiment), results["metrics"]);
  folder.set_status(RunState::finished, results["step"]);
  print_results(results);
  std::printf("%s\n", printable(path).c_str());
}

// Trains and evaluates in the run folder.
int train_in(Run& run, const TrainOptions& options, Plan plan, const std::string& path,
             const std::shared_ptr<World>& world, at::Device device) {
  Experiment experiment = build(std::move(plan), device);
  check_ranks_read_the_same(experiment, *world);
  bool to_do = true;
  on_rank_0(*world, [&] { to_do = open_folder(run, options, path, experiment); });
  const std::optional<RunFolder>& folder = run.folder;
  if (world->broadcast_int(to_do) == 0) {
    if (folder)
      std::printf("finished at step %ld\n%s\n", static_cast<long>(folder->found()->step),
                  printable(folder->file("results.json")).c_str());
    return 0;
  }
  if (folder) run.cost.emplace(folder->path());
  run.batch_size = experiment.sizes.batch_size;
  run.device = device;
  SignalScope signals;
  Recorder record(folder ? folder->path() : "", experiment.plan.checkpoint.keep, options.quiet);
  run.trained = train(experiment, world, record, signals);
  if (run.trained.exit == Exit::ok) {
    SampleHits hits;
    const nlohmann::json measured = evaluate_tower(
        experiment, *world, stoppable(evaluation_progress(*world, options.quiet), signals, run), &hits);
    on_rank_0(*world, [&] {
      if (const std::string picture = feature_picture(experiment); !picture.empty())
        write_atomically(folder->file("features.svg"), picture);
      note_cost(run);
      write_hits(folder->path(), hits);
      write_results(*folder, results_of(data_of(experiment), measured, run.trained.step, run.trained.loss),
                    experiment.plan.resolved, record);
    });
    return 0;
  }
  if (folder) {
    note_cost(run);
    folder->set_status(state_after(run.trained.exit), run.trained.step);
    std::fprintf(stderr, "stopped after step %ld, checkpoint written. To go on: %s\n",
                 static_cast<long>(run.trained.step), printable(run.command).c_str());
  }
  return static_cast<int>(run.trained.exit);
}

}  // namespace

int train_command(const TrainOptions& options) {
  const Trial trial = pick_trial(options.file, options.sets, options.trial);
  Plan plan = check(trial.root, options.find);
  record_of(plan);  // refuses what no run could record, before anything is opened
  if (options.nproc > 1) return spawn_ranks(options.nproc, options.arguments);

  const Launch launch = read_launch();
  set_threads(plan, launch);
  const at::Device device = choose_device(options.device, launch.local_rank);
  const auto world =
      World::make(launch, device, std::chrono::seconds(static_cast<int64_t>(plan.run.timeout)));
  if (launch.rank == 0 && launch.world_size > 1 && !options.quiet)
    std::fprintf(stderr, "%d ranks, launched by %s\n", launch.world_size, launch.source.c_str());
  const std::string path =
      (fs::path(plan.run.output) / plan.run.name / trial.name).lexically_normal().string();
  Run run;
  run.command = command_line(options.arguments, launch);
  try {
    const int code = train_in(run, options, std::move(plan), path, world, device);
    world->close();
    return code;
  } catch (const std::exception& error) {
    const Error told = world->explain(error);
    try {
      const std::string reason = plain_words(told);
      note_cost(run);
      if (run.folder)
        run.folder->set_status(state_after(told.code()), std::max(run.trained.step, steps_made(path)),
                               reason);
      if (!run.folder && launch.rank == 0) note_refusal(path, reason);
    } catch (const std::exception&) {  // on a full disk the status cannot be written either: what failed
                                       // first is what counts
    }
    return report_failure(told, world->speaks());
  }
}

int report_failure(const std::exception& error, bool aloud) {
  const auto* known = dynamic_cast<const Error*>(&error);
  const int code = static_cast<int>(known ? known->code() : Exit::failure);
  const std::string text = plain_words(error);
  if (aloud) std::fprintf(stderr, "%s\n", printable_lines(text).c_str());
  write_error_file(text, code);
  return code;
}

int config_command(const CommonOptions& options, const std::string& file, const std::string& trial) {
  std::printf("%s",
              dump(check(pick_trial(file, options.sets, trial).root, options.find).resolved, true).c_str());
  return 0;
}

}  // namespace foil
