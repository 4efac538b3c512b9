// SPDX-License-Identifier: BSD-3-Clause
#include "commands.h"

#include "config/dump.h"
#include "config/parse.h"
#include "config/sweep.h"
#include "environment.h"
#include "evaluation.h"
#include "plain_words.h"
#include "ranks/agree.h"
#include "ranks/launch.h"
#include "ranks/spawn.h"
#include "results.h"
#include "resume.h"
#include "run/file.h"
#include "run/run_folder.h"
#include "train.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <cstdio>
#include <filesystem>
#include <thread>

namespace foil {
namespace {

namespace fs = std::filesystem;

Trial pick_trial(const std::string& file, const std::vector<std::string>& sets, const std::string& name) {
  std::vector<std::string> known;
  for (Trial& trial : load_trials(file, sets)) {
    if (name.empty() || trial.name == name) return std::move(trial);
    known.push_back(trial.name);
  }
  fail(Exit::usage, file, ": unknown trial '", name, "'.", known_names("trials", name, known));
}

at::Device choose_device(const std::string& asked, int local_rank) {
  const bool there = torch::cuda::is_available();
  if (asked == "cuda" && !there) fail(Exit::usage, "--device cuda: no CUDA device is there, or this foil was built without CUDA.");
  if (asked == "cpu" || !there) return at::kCPU;
  return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(local_rank % static_cast<int>(torch::cuda::device_count())));
}

void set_threads(const Plan& plan, const Launch& launch) {
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  at::set_num_threads(plan.run.threads > 0 ? static_cast<int>(plan.run.threads) : std::max(1, cores / launch.local_world_size));
  at::globalContext().setDeterministicAlgorithms(plan.run.deterministic, /*warn_only=*/false);
}

std::vector<std::string> plugin_files(const Plan& plan) {
  std::vector<std::string> files{plan.encoder.component->origin, plan.data.component->origin};
  for (const Chosen& chosen : plan.augment) files.push_back(chosen.component->origin);
  for (const Chosen& chosen : plan.losses) files.push_back(chosen.component->origin);
  return files;
}

void print_results(const nlohmann::json& results) {
  for (const auto& [name, value] : results["metrics"].items())
    std::printf("%-28s %s\n", name.c_str(),
                value.is_number() ? fmt::format("{:.4g}", value.get<double>()).c_str() : value.dump().c_str());
  std::fflush(stdout);
}

std::function<void(const std::string&, int64_t, int64_t)> evaluation_progress(const World& world, bool quiet) {
  if (quiet || world.rank() != 0) return {};
  auto line = std::make_shared<std::pair<std::string, std::unique_ptr<Progress>>>();
  return [line](const std::string& what, int64_t done, int64_t all) {
    if (line->first != what || !line->second)
      *line = {what, std::make_unique<Progress>(what, all, 0, Progress::options_for_stderr(false))};
    line->second->update(done, {});
    if (done >= all) {
      line->second->finish();
      line->second.reset();
    }
  };
}

// An argument as a shell reads it.
std::string quoted(const std::string& argument) {
  const bool plain =
      !argument.empty() &&
      argument.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=:,+@%") == std::string::npos;
  if (plain) return argument;
  std::string text = "'";
  for (const char c : argument) text += c == '\'' ? "'\\''" : std::string(1, c);
  return text + "'";
}

// The command that started this process, or the one that started all ranks of this machine.
std::string command_line(const std::vector<std::string>& arguments, const Launch& launch) {
  std::string line;
  for (const std::string& argument : arguments) line += (line.empty() ? "" : " ") + quoted(argument);
  return launch.source == "--nproc" && launch.world_size > 1 ? fmt::format("{} --nproc {}", line, launch.world_size) : line;
}

// What a run has reached, for the status that it leaves.
struct Run {
  std::string command;              // that goes on with it
  std::optional<RunFolder> folder;  // of rank 0, once it is open
  TrainResult trained;
};

// As `shown`; and ends the evaluation, on the rank whose signal asks to stop and by its error on all, at its next chunk.
EvaluationProgress stoppable(const EvaluationProgress& shown, const SignalScope& signals, const Run& run) {
  return [shown, &signals, &run](const std::string& what, int64_t done, int64_t all) {
    const Stop stop = signals.requested();
    if (stop != Stop::none) {
      fail(stop == Stop::interrupt ? Exit::interrupted : Exit::again, "stopped in the evaluation after step ", run.trained.step,
           ", whose checkpoint is written. To go on: ", run.command);
    }
    if (shown) shown(what, done, all);
  };
}

RunState state_after(Exit code) {
  return code == Exit::interrupted ? RunState::interrupted : code == Exit::again ? RunState::again : RunState::failed;
}

// Trains and evaluates in the run folder.
int train_in(Run& run, const TrainOptions& options, Plan plan, const Trial& trial, const std::shared_ptr<World>& world,
             at::Device device) {
  const std::string path = (fs::path(plan.run.output) / plan.run.name / trial.name).lexically_normal().string();
  const std::string resolved = dump(plan.resolved, false);
  Experiment x = build(std::move(plan), device);
  std::optional<RunFolder>& folder = run.folder;
  bool finished = false;
  on_rank_0(*world, [&] {
    RunFolder::OpenOptions how;
    how.restart = options.restart;
    how.say = [&](const std::string& line) {
      if (!options.quiet) std::fprintf(stderr, "%s\n", line.c_str());
    };
    how.differences = [](const std::string& before, const std::string& now) {
      return differences(parse_toml(before, "config.resolved.toml"), parse_toml(now, "the experiment"), {"run.output"});
    };
    folder.emplace(RunFolder::open(path, resolved, how));
    finished = folder->already_finished();
    std::printf("%s\n", path.c_str());
    std::fflush(stdout);
    if (!finished) folder->write_env(environment(plugin_files(x.plan)));
  });
  if (world->broadcast_int(finished) == 1) {
    if (folder)
      std::printf("finished at step %ld\n%s\n", static_cast<long>(folder->found()->step), folder->file("results.json").c_str());
    return 0;
  }
  SignalScope signals;
  Recorder record(folder ? folder->path() : "", x.plan.checkpoint.keep, options.quiet);
  run.trained = train(x, world, record, signals);
  if (run.trained.exit == Exit::ok) {
    const nlohmann::json measured = evaluate_tower(x, *world, stoppable(evaluation_progress(*world, options.quiet), signals, run));
    on_rank_0(*world, [&] {
      const nlohmann::json results = results_of(x.plan, measured, run.trained.step, run.trained.loss);
      write_atomically(folder->file("results.json"), results.dump(2) + "\n");
      folder->set_status(RunState::finished, run.trained.step);
      print_results(results);
      std::printf("%s\n", folder->file("results.json").c_str());
    });
    return 0;
  }
  if (folder) {
    folder->set_status(state_after(run.trained.exit), run.trained.step);
    std::fprintf(stderr, "stopped after step %ld, checkpoint written. To go on: %s\n", static_cast<long>(run.trained.step),
                 run.command.c_str());
  }
  return static_cast<int>(run.trained.exit);
}

}  // namespace

int train_command(const TrainOptions& options) {
  const Trial trial = pick_trial(options.file, options.sets, options.trial);
  Plan plan = check(trial.root, options.find);
  if (options.nproc > 1) return spawn_ranks(options.nproc, options.arguments);

  const Launch launch = read_launch();
  set_threads(plan, launch);
  const at::Device device = choose_device(options.device, launch.local_rank);
  const auto world = World::make(launch, device, std::chrono::seconds(static_cast<int64_t>(plan.run.timeout)));
  if (launch.rank == 0 && launch.world_size > 1 && !options.quiet)
    std::fprintf(stderr, "%d ranks, launched by %s\n", launch.world_size, launch.source.c_str());
  Run run{command_line(options.arguments, launch), {}, {}};
  try {
    const int code = train_in(run, options, std::move(plan), trial, world, device);
    world->close();
    return code;
  } catch (const std::exception& error) {
    const Error told = world->explain(error);
    try {
      if (run.folder) run.folder->set_status(state_after(told.code()), run.trained.step, told.what());
    } catch (const Error&) {  // on a full disk the status cannot be written either: what failed first is what counts
    }
    return report_failure(told, world->speaks());
  }
}

int evaluate_command(const EvaluateCommand& options) {
  const Launch launch = read_launch();
  const Trial trial = pick_trial(options.run + "/config.resolved.toml", options.sets, "");
  Plan plan = check(trial.root, options.find);
  set_threads(plan, launch);
  const at::Device device = choose_device(options.device, launch.local_rank);
  const std::shared_ptr<World> world = World::make(launch, device, std::chrono::seconds(static_cast<int64_t>(plan.run.timeout)));
  Experiment x = build(std::move(plan), device);
  std::optional<Checkpoint> checkpoint;
  if (!options.checkpoint.empty()) {
    checkpoint = Checkpoints::load(options.checkpoint);
  } else {
    checkpoint = Checkpoints(options.run + "/checkpoints", 1).load_newest([](const std::string& line) {
      std::fprintf(stderr, "%s\n", line.c_str());
    });
  }
  if (!checkpoint) fail(Exit::data, options.run, ": has no checkpoint.");
  restore_weights(*checkpoint, x);
  const nlohmann::json results =
      results_of(x.plan, evaluate_tower(x, *world, evaluation_progress(*world, options.quiet)), checkpoint->step, {});
  if (world->rank() == 0) {
    const std::string file = fmt::format("{}/evaluation-step{}.json", options.run, checkpoint->step);
    write_atomically(file, results.dump(2) + "\n");
    std::printf("%s\n", options.run.c_str());
    print_results(results);
    std::printf("%s\n", file.c_str());
  }
  world->close();
  return 0;
}

int report_failure(const std::exception& error, bool aloud) {
  const auto* known = dynamic_cast<const Error*>(&error);
  const int code = static_cast<int>(known ? known->code() : Exit::failure);
  const std::string text = plain_words(error);
  if (aloud) std::fprintf(stderr, "%s\n", text.c_str());
  write_error_file(text, code);
  return code;
}

int config_command(const CommonOptions& options, const std::string& file, const std::string& trial) {
  std::printf("%s", dump(check(pick_trial(file, options.sets, trial).root, options.find).resolved, true).c_str());
  return 0;
}

}  // namespace foil
