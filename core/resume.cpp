// SPDX-License-Identifier: BSD-3-Clause
// Tensors under the names of their modules, the generators as bytes, and beside them in the checkpoint's JSON
// what a training has reached and under which conditions.
#include "resume.h"

#include "config/dump.h"
#include "model/weights.h"
#include "run/json.h"

#include <fmt/format.h>
#include <torch/types.h>

namespace foil {
namespace {

using Tensors = std::map<std::string, Tensor>;

// Every tensor of a checkpoint but the generators: the live tensors themselves, under the checkpoint's names.
Tensors live_tensors(const NamedModules& modules) {
  Tensors all;
  for (const auto& [prefix, module] : modules) {
    for (const auto& [name, tensor] : named_tensors(*module)) all[prefix + name] = tensor;
  }
  return all;
}

Tensors with_prefix(const Tensors& all, const std::string& prefix, bool strip) {
  Tensors part;
  for (const auto& [name, tensor] : all) {
    if (name.rfind(prefix, 0) == 0) part[strip ? name.substr(prefix.size()) : name] = tensor;
  }
  return part;
}

Tensors without(const Tensors& all, std::initializer_list<const char*> prefixes) {
  Tensors part;
  for (const auto& [name, tensor] : all) {
    bool dropped = false;
    for (const char* prefix : prefixes) dropped = dropped || name.rfind(prefix, 0) == 0;
    if (!dropped) part[name] = tensor;
  }
  return part;
}

// The state of this process's default generators, as bytes: [bytes].
Tensor generator_state(at::Device device) {
  Tensor state = at::globalContext().defaultGenerator(at::kCPU).get_state();
  if (device.is_cuda()) state = torch::cat({state, at::globalContext().defaultGenerator(device).get_state()});
  return state;
}

void set_generator_state(at::Device device, const Tensor& state) {
  const int64_t cpu_bytes = at::globalContext().defaultGenerator(at::kCPU).get_state().numel();
  at::Generator cpu = at::globalContext().defaultGenerator(at::kCPU);
  cpu.set_state(state.slice(0, 0, cpu_bytes).contiguous());
  if (device.is_cuda() && state.numel() > cpu_bytes) {
    at::Generator cuda = at::globalContext().defaultGenerator(device);
    cuda.set_state(state.slice(0, cpu_bytes).contiguous());
  }
}

// What else must be equal for the promise of equal bits.
nlohmann::json conditions(const Experiment& experiment, const World& world) {
  return {{"world size", world.world_size()},
          {"threads", at::get_num_threads()},
          {"device", experiment.device.str()},
          {"deterministic", experiment.plan.run.deterministic},
          {"TF32", at::globalContext().allowTF32CuBLAS()},
          {"cuDNN benchmark", at::globalContext().benchmarkCuDNN()}};
}

// Of each modality what its encoder sees: the shape of a sample, and what evaluation does to it before.
nlohmann::json inputs(const Experiment& experiment) {
  nlohmann::json all = nlohmann::json::object();
  if (!experiment.pipeline) return all;
  for (const Pipeline::Seen& seen : experiment.pipeline->modalities())
    all[seen.name] = {
        {"kind", name_of(seen.shape.kind)}, {"shape", seen.shape.sizes}, {"preparation", seen.preparation}};
  return all;
}

// The alarm for collapse, as the experiment sets it.
std::string alarm(const Experiment& experiment) {
  const Node* options = experiment.plan.resolved.find("collapse");
  return options ? to_toml(*options) : "";
}

Reached reached_by(const Checkpoint& from, const Experiment& experiment) {
  if (from.step > experiment.total_steps) {
    fail(Exit::usage, "the checkpoint is of step ", from.step, ", the experiment has ",
         experiment.total_steps, " steps.");
  }
  Reached reached{from.step, {}, {}};
  if (const nlohmann::json loss = from.said("loss"); !loss.is_null()) reached.loss = json_number(loss);
  const nlohmann::json collapse = from.said("collapse");
  if (collapse.is_object() && collapse.value("alarm", nlohmann::json()) == alarm(experiment)) {
    const nlohmann::json finding = collapse.value("finding", nlohmann::json());
    if (finding.is_string()) reached.collapse = finding.get<std::string>();
  }
  return reached;
}

// Each rank its own; on another world size a rank without one keeps its fresh state.
void restore_generators(const std::optional<Checkpoint>& from, at::Device device, World& world) {
  for (int64_t r = 0; r < world.world_size(); ++r) {
    const auto saved = from ? from->tensors.find(fmt::format("generator.{}", r))
                            : std::map<std::string, Tensor>::const_iterator{};
    const bool have = world.broadcast_int(from && saved != from->tensors.end() ? 1 : 0) == 1;
    if (!have) continue;
    std::vector<Tensor> bytes{from ? saved->second.clone() : torch::empty_like(generator_state(device))};
    world.broadcast(bytes);
    if (r == world.rank()) set_generator_state(device, bytes[0]);
  }
}

// A run that goes on to another number of steps: what follows the schedule follows the one of all steps from
// here on.
void say_new_length(const Experiment& experiment, int64_t step, int64_t before, Recorder& record) {
  const auto rate = [&](int64_t total) {
    return learning_rate(experiment.plan.schedule, experiment.plan.optimizer.learning_rate, step, total,
                         experiment.steps_per_epoch);
  };
  std::string text = fmt::format(
      "goes on to {} steps instead of {}: from here on the {} schedule is that of {} steps: learning rate "
      "{:.3g}",
      experiment.total_steps, before, at_path(experiment.plan.resolved, "schedule.name")->text(),
      experiment.total_steps, rate(experiment.total_steps));
  if (rate(before) != rate(experiment.total_steps))
    text += fmt::format(" at this step instead of {:.3g}", rate(before));
  if (experiment.momentum && experiment.plan.momentum.schedule != MomentumOptions::Schedule::constant) {
    text += fmt::format(", momentum {:.6g} instead of {:.6g}",
                        momentum_at(experiment.plan.momentum, step, experiment.total_steps),
                        momentum_at(experiment.plan.momentum, step, before));
  }
  record.say(text);
}

void say_what_differs(const Checkpoint& from, const Experiment& experiment, const World& world,
                      Recorder& record) {
  record.say(fmt::format("resumed at step {}", from.step));
  const nlohmann::json now = conditions(experiment, world), then = from.said("conditions"),
                       steps = from.said("total steps");
  for (const auto& [key, value] : now.items()) {
    if (!then.is_object() || !then.contains(key) || then[key] == value) continue;
    record.say(
        fmt::format("resumed with another setting of {}: {} -> {}; results stay right, but bits may differ "
                    "from an uninterrupted run",
                    key, then[key].dump(), value.dump()));
  }
  if (from.step > 0 && steps.is_number_integer() && steps != experiment.total_steps) {
    say_new_length(experiment, from.step, steps.get<int64_t>(), record);
  }
}

}  // namespace

Checkpoint capture(const Experiment& experiment, const Optimizer& optimizer, World& world,
                   const Reached& reached) {
  torch::NoGradGuard no_grad;
  Checkpoint checkpoint;
  checkpoint.step = reached.step;
  const Tensor generators = world.gather(generator_state(experiment.device).unsqueeze(0));  // [W, bytes]
  if (world.rank() != 0) return checkpoint;
  checkpoint.tensors = live_tensors(experiment.modules());
  for (const auto& [name, tensor] : optimizer.state()) checkpoint.tensors["optimizer." + name] = tensor;
  for (int64_t r = 0; r < world.world_size(); ++r)
    checkpoint.tensors[fmt::format("generator.{}", r)] = generators[r];
  checkpoint.state = {{"conditions", conditions(experiment, world)},
                      {"total steps", experiment.total_steps},
                      {"inputs", inputs(experiment)}};
  if (reached.loss) checkpoint.state["loss"] = *reached.loss;
  if (!reached.collapse.empty())
    checkpoint.state["collapse"] = {{"finding", reached.collapse}, {"alarm", alarm(experiment)}};
  return checkpoint;
}

Reached restore(Recorder& record, Experiment& experiment, Optimizer& optimizer, World& world) {
  torch::NoGradGuard no_grad;
  const std::optional<Checkpoint> from = record.newest_checkpoint();  // on rank 0
  if (world.broadcast_int(from ? 1 : 0) == 0) return {};

  // What is missing or of another shape is found on rank 0, which alone has read the file.
  Tensors live = live_tensors(experiment.modules()), state = optimizer.state();
  Reached reached;
  std::string error;
  if (from) {
    try {
      reached = reached_by(*from, experiment);
      copy_exactly(without(from->tensors, {"optimizer.", "generator."}), live, "checkpoint");
      optimizer.load_state(with_prefix(from->tensors, "optimizer.", true));
    } catch (const Error& e) {
      error = e.what();
    }
  }
  if (const std::string first = world.first_error(error); !first.empty()) fail(Exit::data, first);
  reached.step = world.broadcast_int(reached.step);
  reached.collapse = world.broadcast_text(reached.collapse);
  std::vector<Tensor> all;
  for (const auto& [name, tensor] : live) all.push_back(tensor);
  for (const auto& [name, tensor] : optimizer.state()) all.push_back(tensor);
  world.broadcast(all);
  restore_generators(from, experiment.device, world);
  if (from) say_what_differs(*from, experiment, world, record);
  return reached;
}

void restore_weights(const Checkpoint& from, const NamedModules& modules) {
  torch::NoGradGuard no_grad;
  copy_exactly(without(from.tensors, {"optimizer.", "generator."}), live_tensors(modules), "checkpoint");
}

}  // namespace foil
