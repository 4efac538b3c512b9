// SPDX-License-Identifier: BSD-3-Clause
// THE LOOP. One step: batch, views, embeddings, loss, backward, guard, update. Then, once in a while: log,
// evaluate, checkpoint, stop. It is a recipe: the helpers hide how, never whether or when. What a method
// needs beyond its formula, the interfaces provide.
#include "train.h"

#include "data/loader.h"
#include "evaluate/collapse.h"
#include "experiment/evaluation.h"
#include "experiment/needs.h"
#include "model/pass.h"
#include "model/schedule.h"
#include "model/weights.h"
#include "ranks/agree.h"
#include "step.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <cmath>

namespace foil {
namespace {

using NamedParameters = std::vector<std::pair<std::string, Tensor>>;

// In training mode, with the same bits and statistics on every rank.
void make_equal(const NamedModules& modules, const std::shared_ptr<World>& world) {
  std::vector<Tensor> replicated;
  for (const auto& [prefix, module] : modules) {
    module->train();
    share_ranks(*module, world);
    for (const auto& [name, tensor] : named_tensors(*module)) replicated.push_back(tensor);
  }
  world->broadcast(replicated);
}

std::vector<ParameterGroup> parameter_groups(const Experiment& experiment) {
  std::vector<ParameterGroup> groups;
  for (const auto& [prefix, tower] : experiment.model->named("tower."))
    groups.push_back(parameter_group(*tower, prefix, tower->learning_rate_factor()));
  for (size_t i = 0; i < experiment.losses.size(); ++i) {
    const LossTerm& term = experiment.losses[i];
    groups.push_back(parameter_group(*term.loss, fmt::format("loss.{}.", i), term.learning_rate_factor));
  }
  return groups;
}

NamedParameters parameters_of(const std::vector<ParameterGroup>& groups) {
  NamedParameters all;
  for (const ParameterGroup& group : groups)
    all.insert(all.end(), group.parameters.begin(), group.parameters.end());
  return all;
}

Loader loader_from(int64_t step, const Experiment& experiment, const World& world) {
  return Loader(experiment.dataset, experiment.sampler, world.rank(), world.world_size(), step,
                experiment.total_steps, experiment.device);
}

void save(Recorder& record, const Checkpoint& checkpoint, World& world) {
  on_rank_0(world, [&] { record.save(checkpoint); });
}

std::string finding_at(int64_t step, const Collapse& found) {
  return found.finding.empty() ? "" : fmt::format("step {}: {}", step, found.finding);
}

[[noreturn]] void stop_collapsed(World& world, const std::string& finding) {
  fail(Exit::non_finite, world.first_error(finding + " Stopped; the checkpoint of this step is kept."));
}

// Before the first step: a run that the alarm has stopped ends as it did before, checkpoints that the disk
// has no room for are refused, and what is hardly meant is warned of.
void check_start(Recorder& record, const Experiment& experiment, const Checkpoint& reached, World& world,
                 const std::string& collapse) {
  if (experiment.plan.collapse.stops() && !collapse.empty()) stop_collapsed(world, collapse);
  on_rank_0(world, [&] { record.require_space(reached); });
  if (reached.step > 0) return;
  std::vector<Needs> needs;
  for (const LossTerm& term : experiment.losses) needs.push_back(term.loss->needs());
  for (const std::string& line : cautions(experiment.plan, needs, experiment.sizes)) record.warn(line);
}

}  // namespace

int64_t checkpoint_bytes(const Experiment& experiment) {
  const Optimizer optimizer(experiment.plan.optimizer, parameter_groups(experiment));
  return bytes(capture(experiment, optimizer, *World::single(), {}));
}

TrainResult train(Experiment& experiment, const std::shared_ptr<World>& world, Recorder& record,
                  const SignalScope& signals) {
  const Plan& plan = experiment.plan;
  Model& model = *experiment.model;
  Model* const momentum = experiment.momentum.get();  // of the targets, where a loss needs them
  const std::vector<LossTerm>& losses = experiment.losses;
  const int64_t total_steps = experiment.total_steps, steps_per_epoch = experiment.steps_per_epoch;

  // 1. The model and the losses, equal on every rank, and what moves them.
  make_equal(experiment.modules(), world);
  const std::vector<ParameterGroup> groups = parameter_groups(experiment);
  const NamedParameters parameters = parameters_of(groups);
  Optimizer optimizer(plan.optimizer, groups);
  GradientReducer reducer(parameters, world);

  // 2. From the newest checkpoint, or from the start.
  TrainResult result{restore(record, experiment, optimizer, *world), Exit::ok, {}};
  const int64_t start = result.step;
  const auto reached = [&] { return capture(experiment, optimizer, *world, result); };
  check_start(record, experiment, reached(), *world, result.collapse);
  record.begin(start, total_steps, plan.log.every);
  Loader loader = loader_from(start, experiment, *world);
  const auto due = [&](int64_t every) { return every > 0 && result.step % every == 0; };

  for (int64_t step = start; step < total_steps; ++step) {
    // 3. This rank's block of the global batch, and its views.
    const Batch batch = loader.next();
    result.time.mark("data");
    const Views views = experiment.pipeline->training_views(batch.raw, batch.index, step);
    result.time.mark("augment");

    // 4. Embeddings, the targets of the momentum tower, and the losses on them.
    const int64_t pieces = pieces_of(batch.global.size(0), world->world_size(), plan.train.micro_batch);
    Pass pass(model, views, plan.run.bf16(), pieces);
    const std::vector<Tensor> targets =
        target_embeddings(momentum, views, plan.views.full_views(), plan.run.bf16(), pieces);
    result.time.mark("encoder");
    const LossInput heads = step_input(experiment, world, batch, views, pass.out(), targets, step);
    const std::vector<LossInput> inputs = loss_inputs(losses, heads, batch);
    const LossValues values = evaluate_losses(losses, inputs);
    StepValues numbers(losses, inputs, values);
    numbers.average(*world, signals.requested());
    result.time.mark("loss");

    // 5. Gradients, averaged over ranks while they are made. Only for their norm the device is waited for.
    optimizer.zero_grad();
    pass.backward(values.total, reducer);
    model.freeze_last_layers(step / steps_per_epoch);
    const double gradient_norm = optimizer.clip();
    if (step == 0 && gradient_norm == 0)
      record.warn("step 0: the gradient is 0 in every parameter: nothing is learned.");
    result.time.mark("backward");

    // 6. The guard: a non-finite loss or gradient on any rank stops all of them before the update.
    if (!std::isfinite(numbers.loss()))
      stop_non_finite(*world, record, step, first_bad(views, heads, values.each), batch, views);
    if (!std::isfinite(gradient_norm))
      stop_non_finite(*world, record, step, first_bad_gradient(parameters), batch, views);

    // 7. The update, then what follows it: the state of the losses, the momentum tower, the queues.
    const double rate =
        learning_rate(plan.schedule, plan.optimizer.learning_rate, step, total_steps, steps_per_epoch);
    optimizer.step(rate);
    after_step(losses, inputs);
    if (momentum) follow(model, *momentum, momentum_at(plan.momentum, step, total_steps));
    enqueue(losses, inputs, batch.label);
    result.step = step + 1;
    result.loss = numbers.loss();
    result.time.mark("update");

    // ---- Above: what changes weights and state. Below: what only measures, saves and stops. ----
    nlohmann::json row = numbers.row();
    const bool last = result.step == total_steps;
    bool log = last || due(plan.log.every);

    // Once in a while: the alarm for embeddings that have collapsed.
    if (due(plan.collapse.every)) {
      const Collapse found = look_for_collapse(own_rows(heads.z[0], batch), plan.collapse, *world);
      row["batch.effective_rank"] = found.effective_rank;
      row["batch.std"] = found.std;
      if (!plan.collapse.stops() && result.collapse.empty() && !found.finding.empty())
        record.warn(finding_at(result.step, found));
      result.collapse = finding_at(result.step, found);
      log = true;
    }

    // Once in a while: kNN on a part of the data.
    if (due(plan.evaluate.every_epochs * steps_per_epoch)) {
      row.update(evaluate_online(experiment, *world));
      log = true;
    }
    result.time.mark("evaluate");

    // Once in a while: a row of numbers.
    if (log) {
      row["epoch"] = step / steps_per_epoch;
      row["learning_rate"] = rate;
      row["gradient_norm"] = gradient_norm;
      record.row(result.step, row);
    }
    record.progress(result.step);
    result.time.mark("record");

    // Once in a while: a checkpoint; also before a stop and at the end.
    const bool collapsed = plan.collapse.stops() && !result.collapse.empty();
    const Stop stop = numbers.stop();
    if (last || stop != Stop::none || collapsed || due(plan.checkpoint.steps(steps_per_epoch)))
      save(record, reached(), *world);
    result.time.mark("checkpoint");
    if (collapsed) stop_collapsed(*world, result.collapse);
    if (stop != Stop::none && !last) {
      result.exit = stop == Stop::interrupt ? Exit::interrupted : Exit::again;
      break;
    }
  }
  if (total_steps == 0) save(record, reached(), *world);  // the untrained weights are the result
  record.finish();
  if (result.step > start) record.say(result.time.text(result.step - start, experiment.sizes.batch_size));
  return result;
}

}  // namespace foil
