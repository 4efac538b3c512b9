// SPDX-License-Identifier: BSD-3-Clause
// build(): a Plan -> the objects of a run.
#include "experiment/experiment.h"

#include "data/memory.h"
#include "experiment/needs.h"
#include "experiment/tower_plan.h"
#include "model/weights.h"

#include <foil/batch_norm.h>

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

// Whether the samples are the nodes of one graph. What Dataset::nodes says is held to what it promises.
bool is_graph(const Dataset& data, const std::string& name) {
  const std::vector<Modality> modalities = data.modalities();
  const bool graph = std::any_of(modalities.begin(), modalities.end(),
                                 [](const Modality& one) { return one.shape.kind == Kind::graph; });
  const int64_t size = data.size(Split::train);
  for (const Split split : {Split::train, Split::validation, Split::test}) {
    const Tensor nodes = data.nodes(split);
    if (!graph && !nodes.defined()) continue;
    if (!graph || modalities.size() > 1)
      fail(Exit::data, "the data set '", name, "' has nodes, allowed: where a graph is its only modality.");
    if (!nodes.defined() || nodes.numel() != data.size(split))
      fail(Exit::data, "the data set '", name, "' is a graph with ", nodes.defined() ? nodes.numel() : 0,
           " nodes in its ", name_of(split), " split for ", data.size(split), " samples.");
    if (split == Split::train && !nodes.equal(torch::arange(size)))
      fail(Exit::data, "the data set '", name, "' has not all nodes in their order in its train split.");
    check_index(nodes, size);
  }
  return graph;
}

// What the evaluation needs of the data: known before the training, not after it.
void require_evaluation(const EvaluateOptions& options, const Dataset& data, const std::string& name) {
  const std::string split = name_of(options.split);
  const bool measured = data.size(options.split) > 0;
  require_nodes(options, data);
  if (options.split != Split::test && !measured)
    refuse("evaluate.split", "\"" + split + "\"", "\"test\", as the data set has no " + split + " split");
  const int64_t bank = labelled(data, Split::train, name), queries = labelled(data, options.split, name);
  const size_t classes = data.classes().size();
  const bool without_labels = classes == 0 && data.modalities().size() == 1;
  if (options.every_epochs > 0 && (without_labels || !measured)) {
    refuse("evaluate.every_epochs", options.every_epochs,
           "0, as the data set has no " + (without_labels ? std::string("labels") : split + " split"));
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

// Encoder and head, with random weights or those of the file that [model] names.
std::shared_ptr<Tower> make_tower(const TowerPlan& plan, const Shape& shape) {
  auto encoder = plan.encoder.make<Encoder>();
  plan.encoder.placed([&] { encoder->setup(encoder_sizes(shape)); });
  try {
    return std::make_shared<Tower>(encoder, plan.head, plan.model, shape.kind);
  } catch (const std::exception& error) {
    cannot_be_made(plan.table("head") + ".dims", error);
  }
}

// Which tables make the tower of each modality; refuses sub-tables of none, and plain ones that would be
// those of several kinds.
std::vector<const TowerPlan*> towers_of(const Plan& plan, const std::vector<Pipeline::Seen>& modalities) {
  std::vector<const TowerPlan*> towers;
  std::vector<std::string> names;
  const Pipeline::Seen* plain = nullptr;
  for (const Pipeline::Seen& one : modalities) {
    towers.push_back(&tower_plan(plan, one.name, one.shape.kind));
    names.push_back(one.name);
    if (one.name != name_of(one.shape.kind)) names.emplace_back(name_of(one.shape.kind));
    if (towers.back() != &plan.tower) continue;
    if (!plan.tower.encoder.component || (plain && plain->shape.kind != one.shape.kind)) {
      const std::string name = name_of(one.shape.kind);
      fail(Exit::usage, plan.resolved.origin.text(), ": ",
           plain ? "[encoder] would be that of '" + plain->name + "' (" + name_of(plain->shape.kind) +
                       ") and of '" + one.name + "' (" + name + ")"
                 : "there is no encoder for '" + one.name + "'",
           ": write [encoder.", name, "]", name == one.name ? "." : " or [encoder." + one.name + "].");
    }
    plain = &one;
  }
  for (const TowerPlan& tower : plan.towers) {
    if (std::find(towers.begin(), towers.end(), &tower) != towers.end()) continue;
    fail(Exit::usage, tower.place, " is of no view: unknown modality or kind '", tower.name, "'.",
         known_names("modalities and kinds", tower.name, names));
  }
  return towers;
}

std::shared_ptr<Model> make_model(const Plan& plan, const std::vector<Pipeline::Seen>& modalities) {
  std::vector<Model::Part> parts;
  std::map<std::string, size_t> part_of;
  const std::vector<const TowerPlan*> towers = towers_of(plan, modalities);
  for (size_t m = 0; m < towers.size(); ++m) {
    const auto first =
        static_cast<size_t>(std::find(towers.begin(), towers.end(), towers[m]) - towers.begin());
    if (first < m) {
      part_of[modalities[m].name] = part_of.at(modalities[first].name);
      continue;
    }
    part_of[modalities[m].name] = parts.size();
    const std::string name = towers[m]->name.empty() ? name_of(modalities[m].shape.kind) : towers[m]->name;
    parts.push_back({name, make_tower(*towers[m], modalities[m].shape)});
    const int64_t got = parts.back().tower->z_dim(), want = parts[0].tower->z_dim();
    if (got != want)
      refuse(towers[m]->table("head") + ".dims", got,
             std::to_string(want) + ", the width of z of '" + parts[0].name + "'");
  }
  if (parts.size() == 1) parts[0].name.clear();
  return std::make_shared<Model>(std::move(parts), std::move(part_of));
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
  if (is_graph(*whole, name)) {
    const std::string none = "0, as the samples are the nodes of one graph";
    if (plan.selection.subset > 0) refuse("data.subset", plan.selection.subset, none);
    if (plan.selection.imbalance > 0) refuse("data.imbalance", plan.selection.imbalance, none);
  }
  const Tensor rows =
      select_training(whole->labels(Split::train), whole->size(Split::train), plan.selection, seed);
  experiment.dataset =
      rows.size(0) == whole->size(Split::train) ? whole : std::make_shared<SelectedDataset>(whole, rows);
  require_evaluation(plan.evaluate, *experiment.dataset, name);

  experiment.sampler = std::make_shared<CheckedSampler>(plan.sampler);
  const int64_t size = experiment.dataset->size(Split::train), batch_size = plan.selection.batch_size;
  plan.sampler.placed([&] {
    experiment.sampler->setup(seed, batch_size == 0 ? size : batch_size, size,
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
  require_graph(needs, chosen, experiment.plan, experiment.dataset->nodes(Split::train).defined());
  Sizes sizes = experiment.sizes;
  const ViewOptions seen = views_of(chosen, experiment.plan.views);
  sizes.views = seen.count;
  sizes.full_views = seen.full_views();
  chosen.placed([&] { loss->setup(sizes); });
  move_to(*loss, experiment.device, experiment.dtype);
  LossTerm term{chosen.component->name, loss, chosen.weight, chosen.learning_rate_factor, {}, chosen.views};
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
  const Plan& plan = experiment.plan;
  const Views raw = plan.data.placed([&] { return experiment.dataset->read(Split::train, index); });
  const Views views = experiment.pipeline->tried_views(raw, index);
  std::vector<bool> decoded;  // by view
  experiment.model->eval();
  for (const View& view : views) {
    const Chosen& chosen = tower_plan(plan, view.modality, view.kind).encoder;
    Encoder& encoder = experiment.model->tower_of(view.modality).encoder();  // before any head
    const Features features = chosen.placed([&] { return encoder.forward(view); });
    const Tensor& h = features.pooled;
    const int64_t samples = view.size();  // one, of a graph all nodes
    if (h.dim() != 2 || h.size(0) != samples || h.size(1) != encoder.feature_dim()) {
      fail(Exit::usage, chosen.place, ": the encoder '", chosen.component->name, "' gives ", h.sizes(),
           " of ", samples == 1 ? "one sample" : std::to_string(samples) + " nodes", ", allowed: [", samples,
           ", ", encoder.feature_dim(), "], as it says.");
    }
    decoded.push_back(features.decoded.defined());
  }
  experiment.model->train();
  for (size_t i = 0; i < plan.losses.size(); ++i)
    require_decoded(experiment.losses[i].loss->needs(), plan.losses[i], decoded);
}

// What takes its statistics from the batch, by name; empty: nothing does.
std::string batch_norm_of(const Model& model) {
  for (const auto& [prefix, tower] : model.named(""))
    for (const auto& part : tower->named_modules("", /*include_self=*/false))
      if (dynamic_cast<const BatchNorm*>(part.value().get()) && part.value()->is_training())
        return prefix + part.key();
  return {};
}

void require_pieces(const MicroBatchOptions& options, const Model& model, const Dataset& data) {
  if (options.micro_batch == 0) return;
  if (data.nodes(Split::train).defined())
    refuse("train.micro_batch", options.micro_batch, "0, as a graph is encoded whole");
  if (const std::string norm = batch_norm_of(model); !norm.empty() && !options.ghost_batch_norm)
    refuse("train.micro_batch", options.micro_batch,
           "0, or train.ghost_batch_norm = true, as " + norm + " takes its statistics from the batch");
}

void add_predictors(const Plan& plan, const std::vector<Pipeline::Seen>& modalities, Model& model) {
  std::vector<const Tower*> done;
  for (const Pipeline::Seen& one : modalities) {
    Tower& tower = model.tower_of(one.name);
    if (std::find(done.begin(), done.end(), &tower) != done.end()) continue;
    const TowerPlan& of = tower_plan(plan, one.name, one.shape.kind);
    try {
      tower.add_predictor(of.predictor);
    } catch (const std::exception& error) {
      cannot_be_made(of.table("predictor") + ".hidden", error);
    }
    done.push_back(&tower);
  }
}

Experiment construct(Plan given, at::Device device) {
  Experiment experiment;
  experiment.plan = std::move(given);
  const Plan& plan = experiment.plan;
  experiment.device = device;
  experiment.dtype = plan.run.precision == RunOptions::Precision::fp64 ? at::kDouble : at::kFloat;
  open_data(experiment, plan);
  experiment.pipeline = std::make_shared<Pipeline>(plan, *experiment.dataset, device, experiment.dtype);
  const std::vector<Pipeline::Seen>& modalities = experiment.pipeline->modalities();
  std::vector<std::string> seen;
  for (const Pipeline::Seen& one : modalities) seen.push_back(one.name);
  require_zero_shot(plan.evaluate.zero_shot, *experiment.dataset, plan.evaluate.split, seen);
  torch::manual_seed(static_cast<uint64_t>(plan.run.seed));
  experiment.model = make_model(plan, modalities);
  const Tower& first = *experiment.model->parts()[0].tower;

  experiment.sizes = {.z_dim = first.z_dim(),
                      .feature_dim = first.feature_dim(),
                      .dataset_size = experiment.dataset->size(Split::train),
                      .classes = static_cast<int64_t>(experiment.dataset->classes().size()),
                      .views = plan.views.count,
                      .full_views = plan.views.full_views(),
                      .batch_size = plan.selection.batch_size};
  if (experiment.sizes.batch_size == 0) experiment.sizes.batch_size = experiment.sizes.dataset_size;
  const Tensor kept = experiment.dataset->labels(Split::train);
  const bool some_labels = experiment.sizes.classes > 0 && kept.defined() && (kept >= 0).any().item<bool>();
  for (const ChosenLoss& chosen : plan.losses) add_loss(experiment, chosen, some_labels);
  const auto any = [&](bool Needs::*need) {
    return std::any_of(experiment.losses.begin(), experiment.losses.end(),
                       [&](const LossTerm& term) { return term.loss->needs().*need; });
  };
  if (any(&Needs::target)) {
    experiment.momentum = make_model(plan, modalities);
    copy_model(*experiment.model, *experiment.momentum);
    for (const Model::Part& part : experiment.momentum->parts())
      move_to(*part.tower, device, experiment.dtype);
  }
  if (any(&Needs::predictor)) add_predictors(plan, modalities, *experiment.model);
  for (size_t i = 0; i < plan.losses.size(); ++i)
    require_weights(experiment.losses[i].loss->needs(), plan.losses[i], *experiment.model);
  for (const Model::Part& part : experiment.model->parts()) move_to(*part.tower, device, experiment.dtype);
  try_one_sample(experiment);
  require_pieces(plan.train, *experiment.model, *experiment.dataset);
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
  NamedModules all;
  for (const auto& [prefix, tower] : model->named("tower.")) all.emplace_back(prefix, tower);
  if (momentum)
    for (const auto& [prefix, tower] : momentum->named("momentum.")) all.emplace_back(prefix, tower);
  for (size_t i = 0; i < losses.size(); ++i)
    all.emplace_back("loss." + std::to_string(i) + ".", losses[i].loss);
  for (size_t i = 0; i < losses.size(); ++i) {
    for (size_t q = 0; q < losses[i].queues.size(); ++q)
      all.emplace_back("queue." + std::to_string(i) + "." + std::to_string(q) + ".", losses[i].queues[q]);
  }
  return all;
}

}  // namespace foil
