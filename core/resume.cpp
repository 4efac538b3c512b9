// SPDX-License-Identifier: BSD-3-Clause
#include "resume.h"

#include "model/weights.h"

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
  if (x.device.is_cuda()) state = torch::cat({state, at::globalContext().defaultGenerator(x.device).get_state()});
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

}  // namespace

Checkpoint capture(const Experiment& x, const Optimizer& optimizer, World& world, int64_t step) {
  torch::NoGradGuard no_grad;
  Checkpoint checkpoint;
  checkpoint.step = step;
  const Tensor generators = world.gather(generator_state(x).unsqueeze(0));  // [W, bytes]
  if (world.rank() != 0) return checkpoint;
  checkpoint.tensors = live_tensors(x);
  for (const auto& [name, tensor] : optimizer.state()) checkpoint.tensors["optimizer." + name] = tensor;
  for (int64_t r = 0; r < world.world_size(); ++r) checkpoint.tensors[fmt::format("generator.{}", r)] = generators[r];
  checkpoint.state = {{"conditions", conditions(x, world)}};
  return checkpoint;
}

int64_t restore(const std::optional<Checkpoint>& from, Experiment& x, Optimizer& optimizer, World& world,
                const std::function<void(const std::string&)>& say) {
  torch::NoGradGuard no_grad;
  const int64_t step = world.broadcast_int(from ? from->step : 0);
  if (world.broadcast_int(from ? 1 : 0) == 0) return 0;

  // What is missing or of another shape is found on rank 0, which alone has read the file.
  Tensors live = live_tensors(x), state = optimizer.state();
  std::string error;
  if (from) {
    try {
      copy_exactly(without(from->tensors, {"optimizer.", "generator."}), live, "checkpoint");
      optimizer.load_state(with_prefix(from->tensors, "optimizer.", true));
    } catch (const Error& e) {
      error = e.what();
    }
  }
  if (const std::string first = world.first_error(error); !first.empty()) fail(Exit::data, first);
  std::vector<Tensor> all;
  for (const auto& [name, tensor] : live) all.push_back(tensor);
  for (const auto& [name, tensor] : optimizer.state()) all.push_back(tensor);
  world.broadcast(all);

  // Generators: each rank its own; on another world size a rank without one keeps its fresh state.
  for (int64_t r = 0; r < world.world_size(); ++r) {
    const auto saved = from ? from->tensors.find(fmt::format("generator.{}", r)) : std::map<std::string, Tensor>::const_iterator{};
    const bool have = world.broadcast_int(from && saved != from->tensors.end() ? 1 : 0) == 1;
    if (!have) continue;
    std::vector<Tensor> bytes{from ? saved->second.clone() : torch::empty_like(generator_state(x))};
    world.broadcast(bytes);
    if (r == world.rank()) set_generator_state(x, bytes[0]);
  }
  if (from) {
    say(fmt::format("resumed at step {}", step));
    const nlohmann::json now = conditions(x, world), then = from->state.value("conditions", nlohmann::json::object());
    for (const auto& [key, value] : now.items()) {
      if (then.contains(key) && then[key] != value) {
        say(fmt::format(
            "resumed with another setting of {}: {} -> {}; results stay right, but bits may differ from an uninterrupted run", key,
            then[key].dump(), value.dump()));
      }
    }
  }
  return step;
}

void restore_weights(const Checkpoint& from, Experiment& x) {
  torch::NoGradGuard no_grad;
  copy_exactly(without(from.tensors, {"optimizer.", "generator."}), live_tensors(x), "checkpoint");
}

}  // namespace foil
