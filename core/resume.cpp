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
Tensors live_tensors(const Experiment& x) {
  Tensors all;
  for (const auto& [prefix, module] : modules(x)) {
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
Tensor generator_state(const Experiment& x) {
  Tensor state = at::globalContext().defaultGenerator(at::kCPU).get_state();
  if (x.device.is_cuda())
    state = torch::cat({state, at::globalContext().defaultGenerator(x.device).get_state()});
  return state;
}

void set_generator_state(const Experiment& x, const Tensor& state) {
  const int64_t cpu_bytes = at::globalContext().defaultGenerator(at::kCPU).get_state().numel();
  at::Generator cpu = at::globalContext().defaultGenerator(at::kCPU);
  cpu.set_state(state.slice(0, 0, cpu_bytes).contiguous());
  if (x.device.is_cuda() && state.numel() > cpu_bytes) {
    at::Generator cuda = at::globalContext().defaultGenerator(x.device);
    cuda.set_state(state.slice(0, cpu_bytes).contiguous());
  }
}

// What else must be equal for the promise of equal bits.
nlohmann::json conditions(const Experiment& x, const World& world) {
  return {{"world size", world.world_size()},
          {"threads", at::get_num_threads()},
          {"device", x.device.str()},
          {"deterministic", x.plan.run.deterministic},
          {"TF32", at::globalContext().allowTF32CuBLAS()},
          {"cuDNN benchmark", at::globalContext().benchmarkCuDNN()}};
}

// The alarm for collapse, as the experiment sets it.
std::string alarm(const Experiment& x) {
  const Node* options = x.plan.resolved.find("collapse");
  return options ? to_toml(*options) : "";
}

Reached reached_by(const Checkpoint& from, const Experiment& x) {
  if (from.step > x.total_steps) {
    fail(Exit::usage, "the checkpoint is of step ", from.step, ", the experiment has ", x.total_steps,
         " steps.");
  }
  Reached reached{from.step, {}, {}};
  if (const nlohmann::json loss = from.said("loss"); !loss.is_null()) reached.loss = json_number(loss);
  const nlohmann::json collapse = from.said("collapse");
  if (collapse.is_object() && collapse.value("alarm", nlohmann::json()) == alarm(x)) {
    const nlohmann::json finding = collapse.value("finding", nlohmann::json());
    if (finding.is_string()) reached.collapse = finding.get<std::string>();
  }
  return reached;
}

// Each rank its own; on another world size a rank without one keeps its fresh state.
void restore_generators(const std::optional<Checkpoint>& from, const Experiment& x, World& world) {
  for (int64_t r = 0; r < world.world_size(); ++r) {
    const auto saved = from ? from->tensors.find(fmt::format("generator.{}", r))
                            : std::map<std::string, Tensor>::const_iterator{};
    const bool have = world.broadcast_int(from && saved != from->tensors.end() ? 1 : 0) == 1;
    if (!have) continue;
    std::vector<Tensor> bytes{from ? saved->second.clone() : torch::empty_like(generator_state(x))};
    world.broadcast(bytes);
    if (r == world.rank()) set_generator_state(x, bytes[0]);
  }
}

// A run that goes on to another number of steps: what follows the schedule follows the one of all steps from
// here on.
void say_new_length(const Experiment& x, int64_t step, int64_t before,
                    const std::function<void(const std::string&)>& say) {
  const auto rate = [&](int64_t total) {
    return learning_rate(x.plan.schedule, x.plan.optimizer.learning_rate, step, total, x.steps_per_epoch);
  };
  std::string text = fmt::format(
      "goes on to {} steps instead of {}: from here on the {} schedule is that of {} steps: learning rate "
      "{:.3g}",
      x.total_steps, before, x.plan.schedule.name, x.total_steps, rate(x.total_steps));
  if (rate(before) != rate(x.total_steps))
    text += fmt::format(" at this step instead of {:.3g}", rate(before));
  if (x.momentum && x.plan.momentum.schedule != "constant") {
    text +=
        fmt::format(", momentum {:.6g} instead of {:.6g}", momentum_at(x.plan.momentum, step, x.total_steps),
                    momentum_at(x.plan.momentum, step, before));
  }
  say(text);
}

void say_what_differs(const Checkpoint& from, const Experiment& x, const World& world,
                      const std::function<void(const std::string&)>& say) {
  say(fmt::format("resumed at step {}", from.step));
  const nlohmann::json now = conditions(x, world), then = from.said("conditions"),
                       steps = from.said("total steps");
  for (const auto& [key, value] : now.items()) {
    if (!then.is_object() || !then.contains(key) || then[key] == value) continue;
    say(
        fmt::format("resumed with another setting of {}: {} -> {}; results stay right, but bits may differ "
                    "from an uninterrupted run",
                    key, then[key].dump(), value.dump()));
  }
  if (from.step > 0 && steps.is_number_integer() && steps != x.total_steps) {
    say_new_length(x, from.step, steps.get<int64_t>(), say);
  }
}

}  // namespace

Checkpoint capture(const Experiment& x, const Optimizer& optimizer, World& world, const Reached& reached) {
  torch::NoGradGuard no_grad;
  Checkpoint checkpoint;
  checkpoint.step = reached.step;
  const Tensor generators = world.gather(generator_state(x).unsqueeze(0));  // [W, bytes]
  if (world.rank() != 0) return checkpoint;
  checkpoint.tensors = live_tensors(x);
  for (const auto& [name, tensor] : optimizer.state()) checkpoint.tensors["optimizer." + name] = tensor;
  for (int64_t r = 0; r < world.world_size(); ++r)
    checkpoint.tensors[fmt::format("generator.{}", r)] = generators[r];
  checkpoint.state = {{"conditions", conditions(x, world)}, {"total steps", x.total_steps}};
  if (reached.loss) checkpoint.state["loss"] = *reached.loss;
  if (!reached.collapse.empty())
    checkpoint.state["collapse"] = {{"finding", reached.collapse}, {"alarm", alarm(x)}};
  return checkpoint;
}

Reached restore(const std::optional<Checkpoint>& from, Experiment& x, Optimizer& optimizer, World& world,
                const std::function<void(const std::string&)>& say) {
  torch::NoGradGuard no_grad;
  if (world.broadcast_int(from ? 1 : 0) == 0) return {};

  // What is missing or of another shape is found on rank 0, which alone has read the file.
  Tensors live = live_tensors(x), state = optimizer.state();
  Reached reached;
  std::string error;
  if (from) {
    try {
      reached = reached_by(*from, x);
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
  restore_generators(from, x, world);
  if (from) say_what_differs(*from, x, world, say);
  return reached;
}

void restore_weights(const Checkpoint& from, Experiment& x) {
  torch::NoGradGuard no_grad;
  copy_exactly(without(from.tensors, {"optimizer.", "generator."}), live_tensors(x), "checkpoint");
}

}  // namespace foil
