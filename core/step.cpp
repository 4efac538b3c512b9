// SPDX-License-Identifier: BSD-3-Clause
// Inputs, values and numbers of one step; what is said and saved when something in it is not finite.
#include "step.h"

#include "api/loss_tensors.h"
#include "model/pass.h"
#include "run/safetensors.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>

namespace foil {

std::vector<Tensor> target_embeddings(Model* momentum, const Views& views, int64_t full_views, bool bf16,
                                      int64_t pieces) {
  if (!momentum) return {};
  return encode(*momentum, Views(views.begin(), views.begin() + full_views), bf16, pieces).z;
}

namespace {

// The rows of the batch among all that a tower gave of a graph; undefined: they are the batch's as they are.
Tensor batch_rows(const Batch& batch, at::Device device) {
  if (!batch.of_graph() || batch.global.equal(torch::arange(batch.raw[0].size()))) return {};
  return batch.global.to(device);
}

std::vector<Tensor> picked(std::vector<Tensor> all, const Tensor& rows) {
  for (Tensor& one : all)
    if (one.defined() && rows.defined()) one = one.index_select(0, rows);
  return all;
}

// The parameters of the towers that losses ask for.
std::map<std::string, Tensor> weights_asked_for(const Experiment& experiment) {
  std::map<std::string, Tensor> asked;
  for (const LossTerm& term : experiment.losses) {
    const std::vector<std::string> names = term.loss->needs().weights;
    if (names.empty()) continue;
    const std::map<std::string, Tensor> all = experiment.model->parameters();
    for (const std::string& name : names) asked[name] = all.at(name);
  }
  return asked;
}

// The views that a loss sees, as its views 0, 1, ...
LossInput seen_by(const LossTerm& term, LossInput input) {
  if (term.views.empty()) return input;
  const auto pick = [&](auto& all) {
    std::decay_t<decltype(all)> seen;
    for (const int64_t v : term.views)
      if (static_cast<size_t>(v) < all.size()) seen.push_back(all[static_cast<size_t>(v)]);
    all = std::move(seen);
  };
  const auto full = [&](int64_t v) { return v < input.sizes.full_views; };
  input.sizes.full_views = std::count_if(term.views.begin(), term.views.end(), full);
  input.sizes.views = static_cast<int64_t>(term.views.size());
  for (std::vector<Tensor>* all : {&input.z, &input.h, &input.p, &input.target, &input.decoded}) pick(*all);
  pick(input.views);
  return input;
}

// What every rank has of the whole batch becomes this rank's rows, which gather to the whole.
void hold_whole(LossInput& input, const Batch& batch) {
  std::vector<Tensor*> all{&input.label, &input.index};
  for (std::vector<Tensor>* views : {&input.z, &input.h, &input.p, &input.target, &input.decoded})
    for (Tensor& view : *views) all.push_back(&view);
  for (Tensor* one : all) {
    if (!one->defined()) continue;
    const Tensor whole = *one;
    *one = own_rows(whole, batch);
    input.hold(*one, whole);
  }
}

}  // namespace

LossInput step_input(const Experiment& experiment, const std::shared_ptr<World>& world, const Batch& batch,
                     const Views& views, const Tower::Output& out, const std::vector<Tensor>& targets,
                     int64_t step) {
  const Tensor rows = batch_rows(batch, experiment.device);
  LossInput input;
  input.z = picked(out.z, rows);
  input.h = picked(out.h, rows);
  input.p = picked(out.p, rows);
  input.target = picked(targets, rows);
  input.decoded = picked(out.decoded, rows);
  input.views = views;
  input.weights = weights_asked_for(experiment);
  input.index = (batch.of_graph() ? batch.global : batch.index).to(experiment.device, /*non_blocking=*/true);
  input.label = batch.label;
  if (batch.of_graph() && batch.label.defined())
    input.label =
        experiment.dataset->labels(Split::train).index_select(0, batch.global).to(experiment.device);
  input.step = step;
  input.epoch = step / experiment.steps_per_epoch;
  input.seed = static_cast<uint64_t>(experiment.plan.run.seed);
  input.sizes = experiment.sizes;
  input.ranks = world;
  return input;
}

std::vector<LossInput> loss_inputs(const std::vector<LossTerm>& losses, const LossInput& heads,
                                   const Batch& batch) {
  const LossInput unit = scaled(heads);
  std::vector<LossInput> inputs;
  for (const LossTerm& term : losses) {
    const Needs needs = term.loss->needs();
    LossInput input = seen_by(term, selected(needs, needs.raw_z ? heads : unit));
    if (batch.of_graph()) hold_whole(input, batch);
    input.slot = inputs.size();
    for (const auto& queue : term.queues) input.queue.push_back(queue->look());
    inputs.push_back(std::move(input));
  }
  return inputs;
}

Tensor own_rows(const Tensor& rows, const Batch& batch) {
  return batch.of_graph() ? rows.narrow(0, batch.begin, batch.index.size(0)) : rows;
}

LossValues evaluate_losses(const std::vector<LossTerm>& losses, const std::vector<LossInput>& inputs) {
  LossValues values{torch::zeros({}, inputs.at(0).z.at(0).options()), {}};
  for (size_t i = 0; i < losses.size(); ++i) {
    values.each.push_back(inputs[i].join((*losses[i].loss)(inputs[i])));
    values.total = values.total + losses[i].weight * values.each.back();
  }
  return values;
}

void after_step(const std::vector<LossTerm>& losses, const std::vector<LossInput>& inputs) {
  torch::NoGradGuard no_grad;
  for (size_t i = 0; i < losses.size(); ++i) losses[i].loss->after_step(inputs[i]);
}

void enqueue(const std::vector<LossTerm>& losses, const std::vector<LossInput>& inputs, const Tensor& label) {
  torch::NoGradGuard no_grad;
  for (size_t i = 0; i < losses.size(); ++i)
    for (const auto& queue : losses[i].queues) queue->enqueue(inputs[i], label);
}

void StepValues::add(const std::string& name, const Tensor& value) {
  names_.push_back(name);
  values_.push_back(value.detach().to(torch::kDouble).reshape({}));
}

StepValues::StepValues(const std::vector<LossTerm>& losses, const std::vector<LossInput>& inputs,
                       const LossValues& values) {
  add("loss", values.total);
  // Two of one name may be among them: what they report is led by their place.
  const bool several = losses.size() > 1;
  for (size_t i = 0; i < losses.size(); ++i) {
    const std::string key = several ? fmt::format("loss.{}.{}", i, losses[i].name) : losses[i].name;
    if (several) add(key, values.each[i]);
    for (const auto& [name, value] : inputs[i].reports()) add(key + "." + name, value);
  }
}

void StepValues::average(World& world, Stop asked) {
  for (const Stop kind : {Stop::interrupt, Stop::again})
    values_.push_back(torch::full({}, asked == kind ? 1.0 : 0.0, values_[0].options()));
  mean_ = world.sum(torch::stack(values_)) / static_cast<double>(world.world_size());
}

double StepValues::mean(size_t i) {
  mean_ = mean_.cpu();
  return mean_[static_cast<int64_t>(i)].item<double>();
}

nlohmann::json StepValues::row() {
  nlohmann::json row;
  for (size_t i = 0; i < names_.size(); ++i) row[names_[i]] = mean(i);
  return row;
}

Stop StepValues::stop() {
  if (mean(names_.size()) > 0) return Stop::interrupt;
  return mean(names_.size() + 1) > 0 ? Stop::again : Stop::none;
}

namespace {

// The numbers of a tensor, dense or in CSR layout.
Tensor numbers(const Tensor& tensor) { return tensor.layout() == at::kSparseCsr ? tensor.values() : tensor; }

// A view as the tensors of a file.
void save_view(const View& view, size_t v, std::map<std::string, Tensor>& saved) {
  const auto save = [&](const char* name, const Tensor& tensor) {
    if (tensor.defined()) saved[fmt::format("{}.{}", name, v)] = tensor;
  };
  if (view.data.layout() == at::kSparseCsr) {
    save("view_row_starts", view.data.crow_indices());
    save("view_columns", view.data.col_indices());
  }
  save("view", numbers(view.data));
  save("key", view.key);
  save("edges", view.edges.ends);
  save("edge_weight", view.edges.weight);
}

}  // namespace

std::string first_bad(const Views& views, LossInput heads, const std::vector<Tensor>& losses) {
  const auto bad = [](const Tensor& t) { return t.defined() && !numbers(t).isfinite().all().item<bool>(); };
  for (size_t v = 0; v < views.size(); ++v) {
    if (bad(views[v].data)) return fmt::format("view {}", v);
    if (bad(views[v].edges.weight)) return fmt::format("edge weights of view {}", v);
  }
  for (const NamedTensor& one : tensors_of(heads)) {
    const TensorKind& kind = *one.kind;
    if (!kind.is_float() || !bad(*one.tensor)) continue;
    if (kind.per == TensorKind::Per::weight) return one.name;
    return fmt::format("{}{}{}[{}]", kind.noun, kind.noun[0] ? " " : "", kind.name, one.i);
  }
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
    for (size_t v = 0; v < views.size(); ++v) save_view(views[v], v, saved);
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
