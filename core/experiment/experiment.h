// SPDX-License-Identifier: BSD-3-Clause
// Experiment: the objects of a run, built from its Plan. `train` and `evaluate` receive it built.
#pragma once

#include "experiment/pipeline.h"
#include "model/model.h"

namespace foil {

// Modules with state, under the prefix of their tensors' names in a checkpoint: "tower.", "tower.text.",
// "momentum.", "loss.0.", "queue.0.1.".
using NamedModules = std::vector<std::pair<std::string, std::shared_ptr<torch::nn::Module>>>;

struct LossTerm {
  std::string name;
  std::shared_ptr<Loss> loss;
  double weight;
  double learning_rate_factor;
  std::vector<std::shared_ptr<QueueStore>> queues;  // in the order of Needs::queues
  std::vector<int64_t> views = {};                  // that it sees, in its order; empty: all
};

// On `device`, with random weights drawn from the seed: equal on every rank.
struct Experiment {
  Plan plan;
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
  std::shared_ptr<const Dataset> whole;  // as its reader gave it: what identifies the data
  std::shared_ptr<Dataset> dataset;      // the selected training split, the whole test split
  std::shared_ptr<Sampler> sampler;
  std::shared_ptr<const Pipeline> pipeline;
  std::shared_ptr<Model> model;
  std::shared_ptr<Model> momentum;  // that of the targets; null when no loss needs them
  std::vector<LossTerm> losses;
  Sizes sizes;
  int64_t total_steps = 0;
  int64_t steps_per_epoch = 1;

  // All that have state.
  NamedModules modules() const;
};

// Opens the data and constructs everything. Throws Error (Exit::data) for data, (Exit::usage) for what does
// not fit together.
Experiment build(Plan plan, at::Device device);

}  // namespace foil
