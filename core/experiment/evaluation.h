// SPDX-License-Identifier: BSD-3-Clause
// What an experiment's model is worth: evaluate() of evaluate/evaluate.h on its tower or its raw pixels, with
// its data and options.
#pragma once

#include "evaluate/evaluate.h"
#include "evaluate/results.h"
#include "experiment/experiment.h"
#include "ranks/world.h"

#include <nlohmann/json.hpp>

namespace foil {

// What results.json says of the data.
MeasuredData data_of(const Experiment& experiment);

// A progress line a measure on stderr; nothing when quiet and on ranks other than 0.
EvaluationProgress evaluation_progress(const World& world, bool quiet);

// Embeddings of prepared views by the tower in evaluation mode, and everything EvaluateOptions asks for.
// Every rank calls it. `hits` may be null.
nlohmann::json evaluate_tower(Experiment& experiment, World& world, const EvaluationProgress& progress,
                              SampleHits* hits = nullptr);
// The same measures of the raw pixels: the row that every encoder must beat.
nlohmann::json evaluate_pixels(Experiment& experiment, World& world, const EvaluationProgress& progress);

// During training: kNN of the tower on at most evaluate.online_samples rows of each split, drawn once and the
// same for every seed. Returns a row of metrics.jsonl: "knn" and "projections.knn", as evaluate.on asks, and
// their protocols ("knn.protocol"), which name the number of rows. Changes nothing that training goes on
// with: no weight, statistic or draw. Every rank calls it.
nlohmann::json evaluate_online(Experiment& experiment, World& world);

}  // namespace foil
