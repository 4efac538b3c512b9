// SPDX-License-Identifier: BSD-3-Clause
// The training loop. It receives built objects and knows no method by name.
#pragma once

#include "experiment.h"
#include "ranks/world.h"
#include "run/recorder.h"
#include "run/signals.h"

#include <map>
#include <string>

namespace foil {

struct TrainResult {
  Exit exit = Exit::ok;  // ok, interrupted or again: the two last after a checkpoint
  int64_t step = 0;
  double loss = 0;  // of the last step, over the global batch
  std::map<std::string, double>
      seconds;  // where the time of the steps went: data, augment, encoder, loss, backward, update, record
};

using EvaluationProgress = std::function<void(const std::string& what, int64_t done, int64_t all)>;

// Trains from the newest checkpoint, or from the start, to the end. Every rank calls it.
TrainResult train(Experiment& x, const std::shared_ptr<World>& world, Recorder& record, const SignalScope& signals);

// Embeddings of prepared views by the tower in evaluation mode, and everything EvaluateOptions asks for. Every rank calls it.
nlohmann::json evaluate_tower(Experiment& x, World& world, const EvaluationProgress& progress);
// The same measures of the raw pixels: the row that every encoder must beat.
nlohmann::json evaluate_pixels(Experiment& x, World& world, const EvaluationProgress& progress);

}  // namespace foil
