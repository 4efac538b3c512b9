// SPDX-License-Identifier: BSD-3-Clause
// build(): a Plan -> the objects of a run.
#include "experiment/experiment.h"

#include "experiment/needs.h"
#include "model/weights.h"

#include <torch/types.h>

#include <algorithm>

namespace foil {

namespace {

constexpr int64_t kMostSteps = 1'000'000'000;

// Holds a sampler to its promise: what it gives is a batch of the size that was asked for, of rows that there
// are.
class CheckedSampler final : public Sampler {
 public:
  explicit CheckedSampler(const Chosen& chosen)
      : sampler_(chosen.make<Sampler>()), what_("the sampler '" + chosen.component->name + "' gives ") {}

  void setup(uint64_t seed, int64_t batch_size, int64_t dataset_size, const at::Tensor& labels) override {
    sampler_->setup(seed, batch_size, dataset_size, labels);
    batch_size_ = batch_size;
    rows_ = dataset_size;
    const int64_t steps = sampler_->steps_per_epoch();
    if (steps < 1 || steps > kMostSteps) {
      fail(Exit::usage, what_, steps, " steps per epoch of ", rows_, " samples, allowed: 1 to ", kMostSteps,
           ".");
    }
  }
  at::Tensor batch(int64_t step) override {
    const at::Tensor rows = sampler_->batch(step);
    const std::string allowed = ", allowed: int64 [" + std::to_string(batch_size_) + "] on the CPU.";
    if (!rows.defined()) fail(Exit::failure, what_, "no tensor for step ", step, allowed);
    if (rows.scalar_type() != at::kLong || !rows.device().is_cpu() ||
        rows.sizes() != at::IntArrayRef(batch_size_)) {
      fail(Exit::failure, what_, rows.toString(), " ", rows.sizes(), " for step ", step, allowed);
    }
    const at::Tensor wrong = ((rows < 0) | (rows >= rows_)).nonzero();
    if (wrong.numel() > 0) {
      const int64_t row = rows[wrong[0].item<int64_t>()].item<int64_t>();
      fail(Exit::failure, what_, "row ", row, " for step ", step, ", allowed: 0 to ", rows_ - 1, ".");
    }
    return rows;
  }
  int64_t steps_per_epoch() const override { return sampler_->steps_per_epoch(); }

 private:
  std::shared_ptr<Sampler> sampler_;
  std::string what_;
  int64_t batch_size_ = 0, rows_ = 0;
};

// The labels of a split: one a sample, each -1 or a class. How many have one.
int64_t labelled(const Dataset& data, Split split, const std::string& name) {
  const Tensor labels = data.labels(split);
  if (!labels.defined() || labels.numel() == 0) return 0;
  const auto classes = static_cast<int64_t>(data.classes().size());
  const int64_t low = labels.min().item<int64_t>(), high = labels.max().item<int64_t>();
  if (labels.numel() != data.size(split) || low < -1 || high >= classes) {
    fail(Exit::data, "the data set '", name, "' has ", labels.numel(), " labels from ", low, " to ", high,
         " for ", data.size(split), " samples of ", classes, classes == 1 ? " class." : " classes.");
  }
  return (labels >= 0).sum().item<int64_t>();
}

// What the evaluation needs of the data: known before the training, not after it.
void require_evaluation(const EvaluateOptions& options, const Dataset& data, const std::string& name) {
  const int64_t bank = labelled(data, Split::train, name), queries = labelled(data, Split::test, name);
  const size_t classes = data.classes().size();
  if (options.every_epochs > 0 && (classes == 0 || data.size(Split::test) == 0)) {
    refuse("evaluate.every_epochs", options.every_epochs,
           std::string("0, as the data set has no ") + (classes == 0 ? "labels" : "test split"));
  }
  if (bank == 0 || queries == 0) return;
  const int64_t k = options.knn.neighbours;
  if (k > bank) {
    refuse("evaluate.neighbours", k,
           "1 to " + std::to_string(bank) + ", the samples with a label in the train split");
  }
  if (options.linear && (classes < 2 || bank < 2)) {
    refuse("evaluate.linear", "true",
           classes < 2 ? "false, as the data set has one class" : "false, as one sample has a label");
  }
}

EncoderSizes encoder_sizes(const std::vector<int64_t>& shape) {
  if (shape.size() == 1) return {shape[0], 0, 0};
  return {shape.at(0), shape.at(1), shape.at(2)};
}

// Encoder and head, with random weights or those of the file that [model] names.
std::shared_ptr<Tower> make_tower(const Plan& plan, const std::vector<int64_t>& shape) {
  auto encoder = plan.encoder.make<Encoder>();
  plan.encoder.placed([&] { encoder->setup(encoder_sizes(shape)); });
  try {
    return std::make_shared<Tower>(encoder, plan.head, plan.model);
  } catch (const std::exception& error) {
    cannot_be_made("head.dims", error);
  }
}

// The training set, the sampler of its batches, and how many steps that makes.
void open_data(Experiment& experiment, const Plan& plan) {
  const uint64_t seed = static_cast<uint64_t>(plan.run.seed);
  const std::string& name = plan.data.component->name;
  const auto whole = plan.data.make<Dataset>();
  if (whole->size(Split::train) <= 0)
    fail(Exit::data, plan.data.place, ": the data set '", name, "' has no training sample.");
  experiment.whole = whole;
  labelled(*whole, Split::train, name);
  const Tensor rows =
      select_training(whole->labels(Split::train), whole->size(Split::train), plan.selection, seed);
  experiment.dataset =
      rows.size(0) == whole->size(Split::train) ? whole : std::make_shared<SelectedDataset>(whole, rows);
  require_evaluation(plan.evaluate, *experiment.dataset, name);

  experiment.sampler = std::make_shared<CheckedSampler>(plan.sampler);
  plan.sampler.placed([&] {
    experiment.sampler->setup(seed, plan.selection.batch_size, experiment.dataset->size(Split::train),
                              experiment.dataset->labels(Split::train));
  });
  experiment.steps_per_epoch = experiment.sampler->steps_per_epoch();
  if (const int64_t most = kMostSteps / experiment.steps_per_epoch;
      plan.run.steps < 0 && plan.run.epochs > most) {
    refuse("run.epochs", plan.run.epochs,
           "0 to " + std::to_string(most) + ", as an epoch has " +
               std::to_string(experiment.steps_per_epoch) + " steps");
  }
  experiment.total_steps =
      plan.run.steps >= 0 ? plan.run.steps : plan.run.epochs * experiment.steps_per_epoch;
}

void add_loss(Experiment& experiment, const ChosenLoss& chosen, bool labelled) {
  auto loss = chosen.make<Loss>();
  const Needs needs = loss->needs();
  require_labels(needs, chosen, experiment.plan, labelled);
  chosen.placed([&] { loss->setup(experiment.sizes); });
  move_to(*loss, experiment.device, experiment.dtype);
  LossTerm term{chosen.component->name, loss, chosen.weight, chosen.learning_rate_factor, {}};
  const uint64_t seed = static_cast<uint64_t>(experiment.plan.run.seed);
  for (const QueueNeed& need : needs.queues) {
    const uint64_t key =
        mix_key(mix_key(mix_key(seed, name_key("queue")), experiment.losses.size()), term.queues.size());
    term.queues.push_back(make_queue(need, chosen, experiment.sizes, key,
                                     at::device(experiment.device).dtype(experiment.dtype)));
  }
  experiment.losses.push_back(std::move(term));
}

// One sample through what every step runs, so that what does not fit is known before the run and by its
// place.
void try_one_sample(Experiment& experiment) {
  torch::NoGradGuard no_grad;
  const Tensor index = torch::zeros({1}, torch::kLong);
  const View raw =
      experiment.plan.data.placed([&] { return experiment.dataset->read(Split::train, index).at(0); });
  const Views views = experiment.pipeline->tried_views(raw, index);
  const auto encoder =
      std::dynamic_pointer_cast<Encoder>(experiment.tower->named_children()["encoder"]);  // before any head
  experiment.tower->eval();
  for (const View& view : views) {
    const Tensor h = experiment.plan.encoder.placed([&] { return encoder->forward(view).pooled; });
    if (h.dim() != 2 || h.size(0) != 1 || h.size(1) != experiment.sizes.feature_dim) {
      fail(Exit::usage, experiment.plan.encoder.place, ": the encoder '",
           experiment.plan.encoder.component->name, "' gives ", h.sizes(), " of one sample, ",
           "allowed: [1, ", experiment.sizes.feature_dim, "], as it says.");
    }
  }
  experiment.tower->train();
}

Experiment construct(Plan given, at::Device device) {
  Experiment experiment;
  experiment.plan = std::move(given);
  const Plan& plan = experiment.plan;
  experiment.device = device;
  experiment.dtype = plan.run.precision == RunOptions::Precision::fp64 ? at::kDouble : at::kFloat;
  open_data(experiment, plan);
  experiment.pipeline =
      std::make_shared<Pipeline>(plan, experiment.dataset->shape(), device, experiment.dtype);
  const std::vector<int64_t>& shape = experiment.pipeline->shape();
  torch::manual_seed(static_cast<uint64_t>(plan.run.seed));
  experiment.tower = make_tower(plan, shape);

  experiment.sizes = {.z_dim = experiment.tower->z_dim(),
                      .feature_dim = experiment.tower->feature_dim(),
                      .dataset_size = experiment.dataset->size(Split::train),
                      .classes = static_cast<int64_t>(experiment.dataset->classes().size()),
                      .views = plan.views.count,
                      .full_views = plan.views.full_views(),
                      .batch_size = plan.selection.batch_size};
  const Tensor kept = experiment.dataset->labels(Split::train);
  const bool some_labels = experiment.sizes.classes > 0 && kept.defined() && (kept >= 0).any().item<bool>();
  for (const ChosenLoss& chosen : plan.losses) add_loss(experiment, chosen, some_labels);
  const auto any = [&](bool Needs::*need) {
    return std::any_of(experiment.losses.begin(), experiment.losses.end(),
                       [&](const LossTerm& term) { return term.loss->needs().*need; });
  };
  if (any(&Needs::target)) {
    experiment.momentum = make_tower(plan, shape);
    copy_tower(*experiment.tower, *experiment.momentum);
    move_to(*experiment.momentum, device, experiment.dtype);
  }
  try {
    if (any(&Needs::predictor)) experiment.tower->add_predictor(plan.predictor);
  } catch (const std::exception& error) {
    cannot_be_made("predictor.hidden", error);
  }
  move_to(*experiment.tower, device, experiment.dtype);
  try_one_sample(experiment);
  return experiment;
}

}  // namespace

Experiment build(Plan plan, at::Device device) {
  const Node resolved = plan.resolved;
  try {
    return construct(std::move(plan), device);
  } catch (const Error& error) {
    throw with_place(error, resolved);
  }
}

NamedModules Experiment::modules() const {
  NamedModules all{{"tower.", tower}};
  if (momentum) all.emplace_back("momentum.", momentum);
  for (size_t i = 0; i < losses.size(); ++i)
    all.emplace_back("loss." + std::to_string(i) + ".", losses[i].loss);
  for (size_t i = 0; i < losses.size(); ++i) {
    for (size_t q = 0; q < losses[i].queues.size(); ++q)
      all.emplace_back("queue." + std::to_string(i) + "." + std::to_string(q) + ".", losses[i].queues[q]);
  }
  return all;
}

}  // namespace foil
