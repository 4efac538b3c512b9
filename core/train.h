// SPDX-License-Identifier: BSD-3-Clause
// The training loop. It receives built objects and knows no method by name.
#pragma once

#include "experiment/experiment.h"
#include "ranks/world.h"
#include "resume.h"
#include "run/recorder.h"
#include "run/signals.h"
#include "run/stopwatch.h"

namespace foil {

struct TrainResult : Reached {
  Exit exit = Exit::ok;  // ok, interrupted or again: the two last after a checkpoint
  Stopwatch time;        // data, augment, encoder, loss, backward, update, evaluate, record, checkpoint
};

// What a checkpoint of this experiment takes on disk, to a few kB, with one rank.
int64_t checkpoint_bytes(const Experiment& experiment);

// Trains from the newest checkpoint, or from the start, to the end. Every rank calls it.
TrainResult train(Experiment& experiment, const std::shared_ptr<World>& world, Recorder& record,
                  const SignalScope& signals);

}  // namespace foil
