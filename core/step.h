// SPDX-License-Identifier: BSD-3-Clause
// The parts of one step of the loop: what a loss sees, the numbers of a step, and the guard against what is
// not finite. When each is used, train.cpp says.
#pragma once

#include "data/loader.h"
#include "experiment.h"
#include "ranks/world.h"
#include "run/recorder.h"

#include <nlohmann/json.hpp>

namespace foil {

// z of the momentum tower on the views at full size, without gradient: V' x [B, D]; empty when the experiment
// has none.
std::vector<Tensor> target_embeddings(const Experiment& x, const Views& views, bool bf16);

// What every loss of the experiment sees of this step.
std::vector<LossInput> loss_inputs(const Experiment& x, const std::shared_ptr<World>& world,
                                   const Batch& batch, const Tower::Output& out,
                                   const std::vector<Tensor>& targets, int64_t step);

// The numbers of a step, averaged over ranks in one collective: the value on the global batch of every loss
// and of what it reported.
class StepValues {
 public:
  void add(const std::string& name, const Tensor& value);
  // The collective, on the device and not waited for there.
  void average(World& world);
  // The averages; waits for the device.
  nlohmann::json row() const;

 private:
  std::vector<std::string> names_;
  std::vector<Tensor> values_;
  Tensor mean_;
};

// The first tensor of the forward pass with a nan or inf on this rank; empty when all are finite.
std::string first_bad(const Views& views, const Tower::Output& out, const std::vector<Tensor>& targets,
                      const std::vector<Tensor>& losses);
// The first parameter with a nan or inf in its gradient. Gradients are averaged over ranks: every rank finds
// the same.
std::string first_bad_gradient(const std::vector<std::pair<std::string, Tensor>>& parameters);
// Stops every rank before the update: names the step and the first bad tensor, and saves the batch of each
// rank that has one.
[[noreturn]] void stop_non_finite(World& world, const Recorder& record, int64_t step, const std::string& what,
                                  const Batch& batch, const Views& views);

}  // namespace foil
