// SPDX-License-Identifier: BSD-3-Clause
// THE LOOP. One step: batch, views, embeddings, loss, backward, guard, update. Then, once in a while: log,
// evaluate, checkpoint, stop. It is a recipe: the helpers hide how, never whether or when. What a method
// needs beyond its formula, the interfaces provide.
#include "train.h"

#include "data/loader.h"
#include "evaluate/collapse.h"
#include "evaluation.h"
#include "model/schedule.h"
#include "model/weights.h"
#include "needs.h"
#include "ranks/agree.h"
#include "ranks/reducer.h"
#include "step.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <chrono>

namespace foil {
namespace {

// Where the time of a step goes, as shares of the whole; host time, so on CUDA what the host waits for.
class Shares {
 public:
  void mark(const char* what) {
    const auto now = std::chrono::steady_clock::now();
    seconds_[what] += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }
  std::string text(int64_t steps, int64_t samples) const {
    double total = 0;
    for (const auto& [what, s] : seconds_) total += s;
    std::string line =
        fmt::format("{:.0f} samples/s; a step of {:.1f} ms:", static_cast<double>(samples) / total,
                    1e3 * total / static_cast<double>(steps));
    for (const auto& [what, s] : seconds_) line += fmt::format(" {} {:.1f} %", what, 100 * s / total);
    return line;
  }
  const std::map<std::string, double>& seconds() const { return seconds_; }

 private:
  std::map<std::string, double> seconds_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace

TrainResult train(Experiment& x, const std::shared_ptr<World>& world, Recorder& record,
                  const SignalScope& signals) {
  const Plan& plan = x.plan;
  const bool bf16 = plan.run.precision == "bf16";

  // 1. The model and the losses, equal on every rank, and what moves them.
  std::vector<Tensor> replicated;
  for (const auto& [prefix, module] : modules(x)) {
    share_ranks(*module, world);
    for (const auto& [name, tensor] : named_tensors(*module)) replicated.push_back(tensor);
  }
  world->broadcast(replicated);
  std::vector<ParameterGroup> groups{parameter_group(*x.tower, "tower.", plan.model.learning_rate_factor)};
  for (size_t i = 0; i < x.losses.size(); ++i)
    groups.push_back(
        parameter_group(*x.losses[i].loss, fmt::format("loss.{}.", i), x.losses[i].learning_rate_factor));
  std::vector<std::pair<std::string, Tensor>> parameters;
  for (const ParameterGroup& group : groups)
    parameters.insert(parameters.end(), group.parameters.begin(), group.parameters.end());
  Optimizer optimizer(plan.optimizer, groups);
  GradientReducer reducer(parameters, world);

  // 2. From the newest checkpoint, or from the start.
  TrainResult result;
  static_cast<Reached&>(result) = restore(record.newest_checkpoint(), x, optimizer, *world,
                                          [&](const std::string& line) { record.say(line); });
  const int64_t start = result.step;
  int64_t saved = start;
  const auto save =
      [&](bool write) {  // of what has been reached; without `write`, only that there is room for it
        const Checkpoint checkpoint = capture(x, optimizer, *world, result);
        on_rank_0(*world, [&] { write ? record.save(checkpoint) : record.require_space(checkpoint); });
        if (write) saved = result.step;
      };
  const auto stop_collapsed = [&] {
    fail(Exit::non_finite,
         world->first_error(result.collapse + " Stopped; the checkpoint of this step is kept."));
  };
  const bool alarm_stops = plan.collapse.action == "stop";
  if (alarm_stops && !result.collapse.empty())
    stop_collapsed();  // as it did before: the same command changes nothing
  save(/*write=*/false);
  if (start == 0) {
    std::vector<Needs> needs;
    for (const LossTerm& term : x.losses) needs.push_back(term.loss->needs());
    for (const std::string& line : cautions(plan, needs, x.sizes)) record.warn(line);
  }
  record.begin(start, x.total_steps, plan.log.every);
  Loader loader(x.dataset, x.sampler, world->rank(), world->world_size(), result.step, x.total_steps,
                x.device);
  const int64_t evaluate_every = plan.evaluate.every_epochs * x.steps_per_epoch;
  const int64_t checkpoint_every = plan.checkpoint.every > 0 ? plan.checkpoint.every : x.steps_per_epoch;
  Shares shares;

  x.tower->train();
  if (x.momentum) x.momentum->train();
  for (int64_t step = start; step < x.total_steps; ++step) {
    // 3. This rank's block of the global batch, and its views.
    const Batch batch = loader.next();
    shares.mark("data");
    Views views;
    for (int64_t v = 0; v < plan.views.count; ++v)
      views.push_back(training_view(x, batch.raw.at(0), batch.index, step, v));
    shares.mark("augment");

    // 4. Embeddings, the targets of the momentum tower, and the losses on them.
    const Tower::Output out = x.tower->forward(views, bf16);
    const std::vector<Tensor> targets = target_embeddings(x, views, bf16);
    shares.mark("encoder");
    std::vector<LossInput> inputs = loss_inputs(x, world, batch, out, targets, step);
    Tensor total = torch::zeros({}, out.z[0].options());
    std::vector<Tensor> values;
    for (size_t i = 0; i < inputs.size(); ++i) {
      values.push_back(inputs[i].join((*x.losses[i].loss)(inputs[i])));
      total = total + x.losses[i].weight * values.back();
    }
    StepValues numbers;
    numbers.add("loss", total);
    for (size_t i = 0; i < inputs.size(); ++i) {
      const bool several =
          inputs.size() > 1;  // two of one name may be among them: what they report is led by their place
      const std::string key = several ? fmt::format("loss.{}.{}", i, x.losses[i].name) : x.losses[i].name;
      if (several) numbers.add(key, values[i]);
      for (const auto& [name, value] : inputs[i].reports()) numbers.add(key + "." + name, value);
    }
    numbers.add("stop.interrupt",
                torch::full({}, signals.requested() == Stop::interrupt ? 1.0 : 0.0, out.z[0].options()));
    numbers.add("stop.again",
                torch::full({}, signals.requested() == Stop::again ? 1.0 : 0.0, out.z[0].options()));
    numbers.average(*world);
    shares.mark("loss");

    // 5. Gradients, averaged over ranks while they are made. Their norm is the one number of a step that the
    // device is waited for.
    optimizer.zero_grad();
    reducer.prepare(total);
    if (total.requires_grad()) total.backward();
    if (step / x.steps_per_epoch < plan.head.frozen_epochs) x.tower->freeze_last_layer();
    const double gradient_norm = optimizer.clip();
    nlohmann::json row = numbers.row();
    if (step == 0 && gradient_norm == 0)
      record.warn("step 0: the gradient is 0 in every parameter: nothing is learned.");
    shares.mark("backward");

    // 6. The guard: a non-finite loss or gradient on any rank stops all of them before the update.
    if (!std::isfinite(row["loss"].get<double>())) {
      stop_non_finite(*world, record, step, first_bad(views, out, targets, values), batch, views);
    }
    if (!std::isfinite(gradient_norm))
      stop_non_finite(*world, record, step, first_bad_gradient(parameters), batch, views);

    // 7. The update, then what follows it: the state of the losses, the momentum tower, the queues.
    const double rate =
        learning_rate(plan.schedule, plan.optimizer.learning_rate, step, x.total_steps, x.steps_per_epoch);
    optimizer.step(rate);
    {
      torch::NoGradGuard no_grad;
      for (size_t i = 0; i < inputs.size(); ++i) x.losses[i].loss->after_step(inputs[i]);
      if (x.momentum) follow(*x.tower, *x.momentum, momentum_at(plan.momentum, step, x.total_steps));
      for (size_t i = 0; i < inputs.size(); ++i)
        for (const auto& queue : x.losses[i].queues) queue->enqueue(inputs[i], batch.label);
    }
    result.step = step + 1;
    result.loss = row["loss"].get<double>();
    shares.mark("update");

    // ---- Above: what changes weights and state. Below: what only measures, saves and stops. ----

    bool log = result.step % plan.log.every == 0 || result.step == x.total_steps;

    // Once in a while: the alarm for embeddings that have collapsed.
    if (plan.collapse.every > 0 && result.step % plan.collapse.every == 0) {
      const Collapse found = look_for_collapse(out.z[0], plan.collapse, *world);
      const std::string finding =
          found.finding.empty() ? "" : fmt::format("step {}: {}", result.step, found.finding);
      row["batch.effective_rank"] = found.effective_rank;
      row["batch.std"] = found.std;
      if (!alarm_stops && !finding.empty() && result.collapse.empty()) record.warn(finding);
      result.collapse = finding;
      log = true;
    }

    // Once in a while: kNN on a part of the data.
    if (evaluate_every > 0 && result.step % evaluate_every == 0) {
      row.update(evaluate_online(x, *world));
      log = true;
    }
    shares.mark("evaluate");

    // Once in a while: a row of numbers.
    const Stop stop = row["stop.interrupt"] > 0.0 ? Stop::interrupt
                      : row["stop.again"] > 0.0   ? Stop::again
                                                  : Stop::none;
    row.erase("stop.interrupt");
    row.erase("stop.again");
    if (log) {
      row["epoch"] = step / x.steps_per_epoch;
      row["learning_rate"] = rate;
      row["gradient_norm"] = gradient_norm;
      record.row(result.step, row);
    }
    record.progress(result.step);
    shares.mark("record");

    // Once in a while: a checkpoint; also before a stop and at the end.
    const bool collapsed = alarm_stops && !result.collapse.empty();
    if (result.step % checkpoint_every == 0 || result.step == x.total_steps || stop != Stop::none ||
        collapsed)
      save(/*write=*/true);
    shares.mark("checkpoint");
    if (collapsed) stop_collapsed();
    if (stop != Stop::none && result.step < x.total_steps) {
      result.exit = stop == Stop::interrupt ? Exit::interrupted : Exit::again;
      break;
    }
  }
  if (saved == 0) save(/*write=*/true);  // no step at all: the untrained weights are the result
  record.finish();
  result.seconds = shares.seconds();
  if (result.step > start)
    record.say(shares.text(result.step - start, (result.step - start) * plan.selection.batch_size));
  return result;
}

}  // namespace foil
