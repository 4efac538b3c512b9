// SPDX-License-Identifier: BSD-3-Clause
#include "step.h"

#include "run/safetensors.h"

#include <fmt/format.h>
#include <torch/types.h>

namespace foil {

std::vector<Tensor> target_embeddings(const Experiment& x, const Views& views, bool bf16) {
  if (!x.momentum) return {};
  torch::NoGradGuard no_grad;
  return x.momentum->forward(Views(views.begin(), views.begin() + x.sizes.full_views), bf16).z;
}

std::vector<LossInput> loss_inputs(const Experiment& x, const std::shared_ptr<World>& world,
                                   const Batch& batch, const Tower::Output& out,
                                   const std::vector<Tensor>& targets, int64_t step) {
  const auto units = [](const std::vector<Tensor>& raw) {
    std::vector<Tensor> all;
    for (const Tensor& rows : raw) all.push_back(unit(rows));
    return all;
  };
  const std::vector<Tensor> unit_z = units(out.z), unit_p = units(out.p), unit_targets = units(targets);
  std::vector<LossInput> inputs(x.losses.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    LossInput& input = inputs[i];
    const Needs needs = x.losses[i].loss->needs();
    input.z = needs.raw_z ? out.z : unit_z;
    if (needs.features) input.h = out.h;
    if (needs.predictor) input.p = needs.raw_z ? out.p : unit_p;
    if (needs.target) input.target = needs.raw_z ? targets : unit_targets;
    for (const auto& queue : x.losses[i].queues) input.queue.push_back(queue->look());
    input.index = batch.index.to(x.device, /*non_blocking=*/true);
    if (needs.labels) input.label = batch.label;
    input.step = step;
    input.epoch = step / x.steps_per_epoch;
    input.seed = static_cast<uint64_t>(x.plan.run.seed);
    input.slot = i;
    input.sizes = x.sizes;
    input.ranks = world;
  }
  return inputs;
}

void StepValues::add(const std::string& name, const Tensor& value) {
  names_.push_back(name);
  values_.push_back(value.detach().to(torch::kDouble).reshape({}));
}

void StepValues::average(World& world) {
  mean_ = world.sum(torch::stack(values_)) / static_cast<double>(world.world_size());
}

nlohmann::json StepValues::row() const {
  const Tensor mean = mean_.cpu();
  nlohmann::json row;
  for (size_t i = 0; i < names_.size(); ++i) row[names_[i]] = mean[static_cast<int64_t>(i)].item<double>();
  return row;
}

std::string first_bad(const Views& views, const Tower::Output& out, const std::vector<Tensor>& targets,
                      const std::vector<Tensor>& losses) {
  const auto bad = [](const Tensor& t) { return t.defined() && !t.isfinite().all().item<bool>(); };
  for (size_t v = 0; v < views.size(); ++v)
    if (bad(views[v].data)) return fmt::format("view {}", v);
  for (size_t v = 0; v < out.h.size(); ++v)
    if (bad(out.h[v])) return fmt::format("features h[{}]", v);
  for (size_t v = 0; v < out.z.size(); ++v)
    if (bad(out.z[v])) return fmt::format("projection z[{}]", v);
  for (size_t v = 0; v < out.p.size(); ++v)
    if (bad(out.p[v])) return fmt::format("prediction p[{}]", v);
  for (size_t v = 0; v < targets.size(); ++v)
    if (bad(targets[v])) return fmt::format("target[{}]", v);
  for (size_t i = 0; i < losses.size(); ++i)
    if (bad(losses[i])) return fmt::format("loss {}", i);
  return {};
}

std::string first_bad_gradient(const std::vector<std::pair<std::string, Tensor>>& parameters) {
  for (const auto& [name, parameter] : parameters) {
    if (parameter.grad().defined() && !parameter.grad().isfinite().all().item<bool>())
      return "gradient of " + name;
  }
  return "norm of the gradients";
}

void stop_non_finite(World& world, const Recorder& record, int64_t step, const std::string& what,
                     const Batch& batch, const Views& views) {
  std::string mine;
  if (!what.empty()) {
    mine = fmt::format("step {}: non-finite {} on rank {}", step, what, world.rank());
    const std::string folder = world.broadcast_text(record.folder());
    std::map<std::string, Tensor> saved{{"index", batch.index}};
    for (size_t v = 0; v < views.size(); ++v) {
      saved[fmt::format("view.{}", v)] = views[v].data;
      if (views[v].key.defined()) saved[fmt::format("key.{}", v)] = views[v].key;
    }
    const std::string path =
        fmt::format("{}/non_finite-step{}-rank{}.safetensors", folder, step, world.rank());
    save_tensors(path, saved, {{"step", std::to_string(step)}, {"what", what}});
    mine += "; its batch is in " + path;
  } else {
    world.broadcast_text(record.folder());
  }
  const std::string first = world.first_error(mine);
  fail(Exit::non_finite,
       first.empty() ? fmt::format("step {}: non-finite sum of losses that are finite", step) : first);
}

}  // namespace foil
