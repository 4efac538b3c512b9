// SPDX-License-Identifier: BSD-3-Clause
// The parts of one step of the loop: what a loss sees, the numbers of a step, and the guard against what is
// not finite. When each is used, train.cpp says.
#pragma once

#include "data/loader.h"
#include "experiment/experiment.h"
#include "ranks/world.h"
#include "run/recorder.h"
#include "run/signals.h"

#include <nlohmann/json.hpp>

namespace foil {

// z of the momentum model on the first `full_views` views, without gradient: V' x [B, D]; empty without one.
// `pieces`: see Pass.
std::vector<Tensor> target_embeddings(Model* momentum, const Views& views, int64_t full_views, bool bf16,
                                      int64_t pieces = 1);

// All that any loss may see of this step, as the heads give it; but for queues. Of a graph, all of whose
// nodes every rank encodes, the rows of the global batch.
LossInput step_input(const Experiment& experiment, const std::shared_ptr<World>& world, const Batch& batch,
                     const Views& views, const Tower::Output& out, const std::vector<Tensor>& targets,
                     int64_t step);

// What each loss sees of it, with its queues: the rows of this rank. Of a graph those of all ranks are held
// beside them, so that nothing is gathered.
std::vector<LossInput> loss_inputs(const std::vector<LossTerm>& losses, const LossInput& heads,
                                   const Batch& batch);

// The rows of this rank of a tensor that step_input gives.
Tensor own_rows(const Tensor& rows, const Batch& batch);

// The value of each loss, joined to what it gathered, and their weighted sum.
struct LossValues {
  Tensor total;
  std::vector<Tensor> each;
};
LossValues evaluate_losses(const std::vector<LossTerm>& losses, const std::vector<LossInput>& inputs);

// After the optimizer's step, without gradient: the state of every loss; then the rows that enter its queues.
void after_step(const std::vector<LossTerm>& losses, const std::vector<LossInput>& inputs);
void enqueue(const std::vector<LossTerm>& losses, const std::vector<LossInput>& inputs, const Tensor& label);

// The numbers of a step, averaged over ranks in one collective: the value on the global batch of every loss
// and of what it reported; and whether any rank is asked to stop.
class StepValues {
 public:
  // The sum of the losses; the value of each, where there are several; and what it reported.
  StepValues(const std::vector<LossTerm>& losses, const std::vector<LossInput>& inputs,
             const LossValues& values);
  // The collective, on the device and not waited for there. `asked`: this rank's request.
  void average(World& world, Stop asked);

  // These wait for the device, once. The averages by name, "loss" among them.
  nlohmann::json row();
  double loss() { return mean(0); }
  Stop stop();

 private:
  void add(const std::string& name, const Tensor& value);
  double mean(size_t i);

  std::vector<std::string> names_;  // of the first values; the two last are the requests
  std::vector<Tensor> values_;
  Tensor mean_;
};

// The first tensor of the forward pass with a nan or inf on this rank; empty when all are finite. `heads`:
// what step_input gives.
std::string first_bad(const Views& views, LossInput heads, const std::vector<Tensor>& losses);
// The first parameter with a nan or inf in its gradient. Gradients are averaged over ranks: every rank finds
// the same.
std::string first_bad_gradient(const std::vector<std::pair<std::string, Tensor>>& parameters);
// Stops every rank before the update: names the step and the first bad tensor, and saves the batch of each
// rank that has one.
[[noreturn]] void stop_non_finite(World& world, const Recorder& record, int64_t step, const std::string& what,
                                  const Batch& batch, const Views& views);

}  // namespace foil
