// SPDX-License-Identifier: BSD-3-Clause
// Resume: what of a training a checkpoint holds, and how it comes back. The file format is run/checkpoint.h.
#pragma once

#include "experiment/experiment.h"
#include "ranks/world.h"
#include "run/recorder.h"

namespace foil {

// How far a training has come, beyond its tensors.
struct Reached {
  int64_t step = 0;
  std::optional<double> loss;  // of the last step, over the global batch; none before the first
  std::string collapse;        // what the alarm found at its last look; empty when all was well
};

// Weights and buffers of the towers ("tower.", "momentum."), the losses ("loss.N.") and their queues
// ("queue.N.Q."), the optimizer's state ("optimizer."), and the default generator of every rank
// ("generator.R"). Every rank must call it; the result counts on rank 0.
Checkpoint capture(const Experiment& experiment, const Optimizer& optimizer, World& world,
                   const Reached& reached);

// The inverse: the newest checkpoint of `record`, which rank 0 alone reads, is sent to every rank and copied
// in. Returns how far it had come (the loss on rank 0 only), and says what differs from then. A finding of
// the alarm counts as long as the alarm is the same. Throws Error (Exit::data) naming every tensor that does
// not fit.
Reached restore(Recorder& record, Experiment& experiment, Optimizer& optimizer, World& world);

// Only the weights: for evaluation of a checkpoint.
void restore_weights(const Checkpoint& from, const NamedModules& modules);

}  // namespace foil
