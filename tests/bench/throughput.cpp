// SPDX-License-Identifier: BSD-3-Clause
// How fast foil trains: the whole training step of an experiment file (the real train(), into a temporary
// folder) beside forward and backward of the same tower on the same batch shape alone, in alternation; where
// the time of a step goes; what ranks cost; whether memory grows. It measures one machine at one moment: the
// ratios are what counts.
#include "data/builtin.h"
#include "plugins/loader.h"
#include "program/environment.h"
#include "ranks/in_process.h"
#include "tests/support/temp_folder.h"
#include "train.h"

#include <foil/batch_norm.h>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <torch/types.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>

namespace foil {
namespace {

struct Settings {
  std::string file;
  std::vector<std::string> sets;
  std::string device = "cpu";
  int64_t steps = 60;
  int64_t pairs = 3;
  int ranks = 0;
  bool memory = false;
  bool plain = false;
};

// The sampler of the experiment, asking somebody to look at each step before it is taken.
class WatchedSampler final : public Sampler {
 public:
  WatchedSampler(std::shared_ptr<Sampler> inner, std::function<void(int64_t)> look)
      : inner_(std::move(inner)), look_(std::move(look)) {}
  void setup(uint64_t seed, int64_t batch_size, int64_t dataset_size, const Tensor& labels) override {
    inner_->setup(seed, batch_size, dataset_size, labels);
  }
  Tensor batch(int64_t step) override {
    look_(step);
    return inner_->batch(step);
  }
  int64_t steps_per_epoch() const override { return inner_->steps_per_epoch(); }

 private:
  std::shared_ptr<Sampler> inner_;
  std::function<void(int64_t)> look_;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double now(at::Device device) {
  if (device.is_cuda()) torch::cuda::synchronize();
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double resident_mebibytes() {
  std::ifstream statm("/proc/self/statm");
  double pages = 0, resident = 0;
  statm >> pages >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1048576;
}

Experiment make(const Settings& settings) {
  const FindComponent find = [](const std::string& kind, const std::string& name,
                                const std::string& place) -> const Component& {
    return Registry::instance().find(kind, name, place);
  };
  Plan plan = check(load_trials(settings.file, settings.sets).front().root, find);
  if (plan.run.threads > 0) at::set_num_threads(static_cast<int>(plan.run.threads));
  return build(std::move(plan), at::Device(settings.device));
}

// Steps a training with `x` takes from the start; its weights go on from where they are.
TrainResult train_steps(Experiment& x, const std::shared_ptr<World>& world, const SignalScope& signals,
                        int64_t steps) {
  const test::TempFolder folder;
  Recorder record(world->rank() == 0 ? folder.path() : "", x.plan.checkpoint.keep, /*quiet=*/true);
  x.total_steps = steps;
  TrainResult result = train(x, world, record, signals);
  if (result.exit != Exit::ok) fail(result.exit, "stopped after step ", result.step);
  return result;
}

// Of the steps, without the checkpoint at the end: that is a cost of an epoch.
std::map<std::string, double> seconds_of(const TrainResult& result) {
  std::map<std::string, double> seconds = result.time.seconds();
  seconds.erase("checkpoint");
  return seconds;
}

double total(const std::map<std::string, double>& seconds) {
  double sum = 0;
  for (const auto& [what, s] : seconds) sum += s;
  return sum;
}

// Seconds of `steps` times forward and backward of the tower on the views of one batch, and nothing else. The
// gradient of z is noise: a constant one would vanish in the batch norms, and the arithmetic of tiny numbers
// is not that of training.
double encoder_seconds(Experiment& x, int64_t steps) {
  const Tensor index = x.sampler->batch(0);
  const Views views = x.pipeline->training_views(x.dataset->read(Split::train, index), index, 0);
  const Tensor gradient = torch::randn({x.plan.views.count * index.size(0), x.sizes.z_dim},
                                       at::TensorOptions(x.device).dtype(x.dtype));
  Tower& tower = *x.model->parts()[0].tower;
  tower.train();
  const bool bf16 = x.plan.run.bf16();
  const double begin = now(x.device);
  for (int64_t step = 0; step < steps; ++step) {
    for (Tensor& parameter : tower.parameters()) parameter.mutable_grad().reset();
    torch::cat(tower.forward(views, bf16).z).backward(gradient);
  }
  return now(x.device) - begin;
}

void measure_rates(const Settings& settings) {
  Experiment x = make(settings);
  const SignalScope signals;
  const double images = static_cast<double>(settings.steps * x.plan.selection.batch_size);
  train_steps(x, World::single(), signals, std::min<int64_t>(settings.steps, 5));
  encoder_seconds(x, std::min<int64_t>(settings.steps, 5));

  std::vector<double> training, encoder, ratio;
  std::map<std::string, double> seconds;
  for (int64_t pair = 0; pair < settings.pairs; ++pair) {
    const TrainResult result = train_steps(x, World::single(), signals, settings.steps);
    training.push_back(images / total(seconds_of(result)));
    encoder.push_back(images / encoder_seconds(x, settings.steps));
    ratio.push_back(training.back() / encoder.back());
    for (const auto& [what, s] : seconds_of(result)) seconds[what] += s;
  }
  if (settings.plain) {
    fmt::print("training {:.1f}\nencoder {:.1f}\nratio {:.4f}\n", median(training), median(encoder),
               median(ratio));
    for (const auto& [what, s] : seconds) fmt::print("share.{} {:.4f}\n", what, s / total(seconds));
    return;
  }
  fmt::print(
      "{}, {} views x {}, {}, {} threads: medians of {} pairs of {} steps\n", settings.file,
      x.plan.views.count, x.plan.selection.batch_size,
      x.device.is_cuda() ? environment({})["gpus"].dump() : environment({})["processor"].get<std::string>(),
      at::get_num_threads(), settings.pairs, settings.steps);
  fmt::print("  whole training step           {:10.0f} images/s  ({:.1f} ms a step)\n", median(training),
             1e3 * static_cast<double>(x.plan.selection.batch_size) / median(training));
  fmt::print("  encoder forward and backward  {:10.0f} images/s\n", median(encoder));
  fmt::print("  training / encoder alone      {:10.3f}\n", median(ratio));
  fmt::print("  shares of a step, %:         ");
  for (const auto& [what, s] : seconds) fmt::print(" {} {:.1f}", what, 100 * s / total(seconds));
  fmt::print("\n");
}

// Ranks as threads of this process with one thread each: a whole step, and the same collectives with nothing
// to hide behind.
void measure_ranks(const Settings& settings) {
  std::vector<Experiment> experiments;
  for (int rank = 0; rank < settings.ranks; ++rank) experiments.push_back(make(settings));
  const SignalScope signals;
  double step = 0, communication = 0;
  in_process_ranks(settings.ranks, [&](World& world) {
    at::set_num_threads(1);
    Experiment& x = experiments[static_cast<size_t>(world.rank())];
    const std::shared_ptr<World> shared = world.shared_from_this();
    train_steps(x, shared, signals, 2);
    const TrainResult result = train_steps(x, shared, signals, settings.steps);

    std::vector<Tensor> gradients, sums;
    const Tower& tower = *x.model->parts()[0].tower;
    for (const Tensor& parameter : tower.parameters())
      gradients.push_back(torch::zeros_like(parameter).flatten());
    for (const auto& module : tower.modules()) {
      if (const auto* norm = dynamic_cast<BatchNorm*>(module.get())) {
        sums.push_back(torch::zeros({world.world_size(), 1 + 2 * norm->running_mean.numel()}));  // forward
        sums.push_back(torch::zeros({2, norm->running_mean.numel()}));                           // backward
      }
    }
    const Tensor flat = torch::cat(gradients);
    const Tensor z = torch::zeros({x.plan.selection.batch_size / world.world_size(), x.sizes.z_dim}),
                 all_z = torch::zeros({x.plan.selection.batch_size, x.sizes.z_dim});
    torch::NoGradGuard no_grad;
    world.barrier();
    const double begin = now(at::kCPU);
    for (int64_t i = 0; i < settings.steps; ++i) {
      for (const Tensor& sum : sums) world.sum(sum);
      for (int64_t v = 0; v < x.plan.views.count; ++v) {
        world.gather(z);
        world.sum(all_z);
      }
      world.sum(torch::zeros({3}, at::kDouble));
      world.sum(flat);
    }
    if (world.rank() == 0) {
      communication = (now(at::kCPU) - begin) / static_cast<double>(settings.steps);
      step = total(seconds_of(result)) / static_cast<double>(settings.steps);
    }
  });
  if (settings.plain) {
    fmt::print("share.communication {:.4f}\n", communication / step);
    return;
  }
  fmt::print(
      "  {} ranks in this process, one thread each: {:.1f} ms a step; its collectives alone, not overlapped: "
      "{:.2f} ms = {:.1f} %\n",
      settings.ranks, 1e3 * step, 1e3 * communication, 100 * communication / step);
}

void measure_memory(const Settings& settings) {
  Experiment x = make(settings);
  const SignalScope signals;
  std::map<int64_t, double> resident;
  x.sampler = std::make_shared<WatchedSampler>(x.sampler, [&](int64_t step) {
    if (step == 200 || step == 1000 || step == 1999) resident[step] = resident_mebibytes();
  });
  train_steps(x, World::single(), signals, 2000);
  if (settings.plain) {
    fmt::print("memory.growth {:.1f}\n", resident[1999] - resident[200]);
    return;
  }
  fmt::print(
      "  resident memory at step 200: {:.1f} MiB, at step 1000: {:+.1f} MiB, at step 2000: {:+.1f} MiB\n",
      resident[200], resident[1000] - resident[200], resident[1999] - resident[200]);
}

}  // namespace
}  // namespace foil

int main(int argc, char** argv) {
  foil::keep_freed_memory();  // as the program does
  foil::Settings settings;
  CLI::App app{"How fast foil trains an experiment file, and where the time goes."};
  app.add_option("file", settings.file, "experiment")->required();
  app.add_option("--set", settings.sets, "KEY=VALUE over the file");
  app.add_option("--device", settings.device, "cpu or cuda");
  app.add_option("--steps", settings.steps, "training steps of each measurement")->check(CLI::PositiveNumber);
  app.add_option("--pairs", settings.pairs, "repetitions in alternation; their medians are printed")
      ->check(CLI::PositiveNumber);
  app.add_option("--ranks", settings.ranks,
                 "also: the share of communication with this many ranks in this process");
  app.add_flag("--memory", settings.memory, "instead: the growth of memory over 2,000 steps");
  app.add_flag("--plain", settings.plain, "one NAME VALUE a line, for scripts");
  CLI11_PARSE(app, argc, argv);
  try {
    foil::Registry& registry = foil::Registry::instance();
    registry.enter("built in", foil::register_builtin_data);
    for (const foil::Refused& refused : foil::load_plugins(foil::plugin_folders({}), registry))
      std::fprintf(stderr, "%s\n", refused.reason.c_str());
    if (settings.memory) {
      foil::measure_memory(settings);
    } else {
      foil::measure_rates(settings);
      if (settings.ranks > 1) foil::measure_ranks(settings);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
