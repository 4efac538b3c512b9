// SPDX-License-Identifier: BSD-3-Clause
// build(): a Plan -> the objects of a run; and what the pipeline makes of a sample.
#include "experiment.h"

#include "model/weights.h"
#include "needs.h"

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

// Makes the augmentations. Returns the shape of view 0 after them, from which the encoder is sized.
std::vector<int64_t> set_pipeline(Experiment& x, const Plan& plan) {
  std::vector<std::vector<int64_t>> shapes(static_cast<size_t>(plan.views.count),
                                           x.dataset->shape());  // by view
  for (const ChosenAugmentation& chosen : plan.augment) {
    PipelineStep step{chosen.make<Augmentation>(), std::vector<bool>(shapes.size(), chosen.views.empty())};
    for (const int64_t v : chosen.views) step.applies[static_cast<size_t>(v)] = true;
    for (size_t v = 0; v < shapes.size(); ++v) {
      if (!step.applies[v]) continue;
      const bool ragged = std::find(shapes[v].begin(), shapes[v].end(), -1) != shapes[v].end();
      if (ragged && !step.augmentation->accepts_ragged()) {
        fail(Exit::usage, chosen.place, ": the augmentation '", chosen.component->name,
             "' is given images of different sizes, allowed: behind one that brings them to one size "
             "(random_resized_crop).");
      }
      shapes[v] = chosen.placed([&] { return step.augmentation->shape_after(shapes[v]); });
    }
    if (const std::string name = step.augmentation->evaluation_name(); step.applies[0] && !name.empty())
      x.preparation += (x.preparation.empty() ? "" : "-") + name;
    x.augment.push_back(std::move(step));
  }
  if (x.preparation.empty()) x.preparation = "none";
  for (size_t v = 0; v < shapes.size(); ++v) {
    if (std::find(shapes[v].begin(), shapes[v].end(), -1) != shapes[v].end()) {
      fail(Exit::usage, plan.data.place, ": the images of '", plan.data.component->name,
           "' differ in size: the first [[augment]]", v == 0 ? "" : " of view " + std::to_string(v),
           " must bring them to one size (random_resized_crop).");
    }
  }
  return shapes[0];
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
void open_data(Experiment& x, const Plan& plan) {
  const uint64_t seed = static_cast<uint64_t>(plan.run.seed);
  const std::string& name = plan.data.component->name;
  const auto whole = plan.data.make<Dataset>();
  if (whole->size(Split::train) <= 0)
    fail(Exit::data, plan.data.place, ": the data set '", name, "' has no training sample.");
  x.whole = whole;
  labelled(*whole, Split::train, name);
  const Tensor rows =
      select_training(whole->labels(Split::train), whole->size(Split::train), plan.selection, seed);
  x.dataset =
      rows.size(0) == whole->size(Split::train) ? whole : std::make_shared<SelectedDataset>(whole, rows);
  require_evaluation(plan.evaluate, *x.dataset, name);

  x.sampler = std::make_shared<CheckedSampler>(plan.sampler);
  plan.sampler.placed([&] {
    x.sampler->setup(seed, plan.selection.batch_size, x.dataset->size(Split::train),
                     x.dataset->labels(Split::train));
  });
  x.steps_per_epoch = x.sampler->steps_per_epoch();
  if (const int64_t most = kMostSteps / x.steps_per_epoch; plan.run.steps < 0 && plan.run.epochs > most) {
    refuse(
        "run.epochs", plan.run.epochs,
        "0 to " + std::to_string(most) + ", as an epoch has " + std::to_string(x.steps_per_epoch) + " steps");
  }
  x.total_steps = plan.run.steps >= 0 ? plan.run.steps : plan.run.epochs * x.steps_per_epoch;
}

void add_loss(Experiment& x, const ChosenLoss& chosen, bool labelled) {
  auto loss = chosen.make<Loss>();
  const Needs needs = loss->needs();
  require_labels(needs, chosen, x.plan, labelled);
  chosen.placed([&] { loss->setup(x.sizes); });
  move_to(*loss, x.device, x.dtype);
  LossTerm term{chosen.component->name, loss, chosen.weight, chosen.learning_rate_factor, {}};
  const uint64_t seed = static_cast<uint64_t>(x.plan.run.seed);
  for (const QueueNeed& need : needs.queues) {
    const uint64_t key =
        mix_key(mix_key(mix_key(seed, name_key("queue")), x.losses.size()), term.queues.size());
    term.queues.push_back(make_queue(need, chosen, x.sizes, key, at::device(x.device).dtype(x.dtype)));
  }
  x.losses.push_back(std::move(term));
}

// What the tower takes: floats of the run's precision on its device; bytes become [0, 1].
View as_input(const Experiment& x, View view) {
  if (view.data.scalar_type() == at::kByte) view.data = as_float_image(view.data);
  view.data = view.data.to(x.device, x.dtype);
  return view;
}

View on_device(const Experiment& x, View view) {
  if (view.data.defined()) view.data = view.data.to(x.device);
  return view;
}

// One sample through what every step runs, so that what does not fit is known before the run and by its
// place.
void try_one_sample(Experiment& x) {
  torch::NoGradGuard no_grad;
  const Tensor index = torch::zeros({1}, torch::kLong);
  const View raw = x.plan.data.placed([&] { return x.dataset->read(Split::train, index).at(0); });
  Views views;
  for (int64_t v = 0; v < x.plan.views.count; ++v) {
    View view = on_device(x, raw);
    for (size_t i = 0; i < x.augment.size(); ++i) {
      if (!x.augment[i].applies_to(v)) continue;
      const AugmentContext context{static_cast<uint64_t>(x.plan.run.seed), 0, v, static_cast<int64_t>(i),
                                   index};
      view = x.plan.augment[i].placed([&] { return x.augment[i].augmentation->apply(view, context); });
    }
    views.push_back(as_input(x, std::move(view)));
  }
  const auto encoder =
      std::dynamic_pointer_cast<Encoder>(x.tower->named_children()["encoder"]);  // before any head
  x.tower->eval();
  for (const View& view : views) {
    const Tensor h = x.plan.encoder.placed([&] { return encoder->forward(view).pooled; });
    if (h.dim() != 2 || h.size(0) != 1 || h.size(1) != x.sizes.feature_dim) {
      fail(Exit::usage, x.plan.encoder.place, ": the encoder '", x.plan.encoder.component->name, "' gives ",
           h.sizes(), " of one sample, ", "allowed: [1, ", x.sizes.feature_dim, "], as it says.");
    }
  }
  x.tower->train();
}

Experiment construct(Plan given, at::Device device) {
  Experiment x;
  x.plan = std::move(given);
  const Plan& plan = x.plan;
  x.device = device;
  x.dtype = plan.run.precision == "fp64" ? at::kDouble : at::kFloat;
  open_data(x, plan);
  const std::vector<int64_t> shape = set_pipeline(x, plan);
  torch::manual_seed(static_cast<uint64_t>(plan.run.seed));
  x.tower = make_tower(plan, shape);

  x.sizes = {.z_dim = x.tower->z_dim(),
             .feature_dim = x.tower->feature_dim(),
             .dataset_size = x.dataset->size(Split::train),
             .classes = static_cast<int64_t>(x.dataset->classes().size()),
             .views = plan.views.count,
             .full_views = plan.views.full_views(),
             .batch_size = plan.selection.batch_size};
  const Tensor kept = x.dataset->labels(Split::train);
  const bool some_labels = x.sizes.classes > 0 && kept.defined() && (kept >= 0).any().item<bool>();
  for (const ChosenLoss& chosen : plan.losses) add_loss(x, chosen, some_labels);
  const auto any = [&](bool Needs::*need) {
    return std::any_of(x.losses.begin(), x.losses.end(),
                       [&](const LossTerm& term) { return term.loss->needs().*need; });
  };
  if (any(&Needs::target)) {
    x.momentum = make_tower(plan, shape);
    copy_tower(*x.tower, *x.momentum);
    move_to(*x.momentum, device, x.dtype);
  }
  try {
    if (any(&Needs::predictor)) x.tower->add_predictor(plan.predictor);
  } catch (const std::exception& error) {
    cannot_be_made("predictor.hidden", error);
  }
  move_to(*x.tower, device, x.dtype);
  try_one_sample(x);
  return x;
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

std::vector<std::pair<std::string, std::shared_ptr<torch::nn::Module>>> modules(const Experiment& x) {
  std::vector<std::pair<std::string, std::shared_ptr<torch::nn::Module>>> all{{"tower.", x.tower}};
  if (x.momentum) all.emplace_back("momentum.", x.momentum);
  for (size_t i = 0; i < x.losses.size(); ++i)
    all.emplace_back("loss." + std::to_string(i) + ".", x.losses[i].loss);
  for (size_t i = 0; i < x.losses.size(); ++i) {
    for (size_t q = 0; q < x.losses[i].queues.size(); ++q)
      all.emplace_back("queue." + std::to_string(i) + "." + std::to_string(q) + ".", x.losses[i].queues[q]);
  }
  return all;
}

namespace {

// What an encoder's draws are keyed by: (seed, step, view, sample).
Tensor draw_keys(const AugmentContext& place) {
  const uint64_t key =
      mix_key(mix_key(mix_key(place.seed, name_key("encoder")), static_cast<uint64_t>(place.step)),
              static_cast<uint64_t>(place.view));
  Tensor keys = torch::empty_like(place.index, at::MemoryFormat::Contiguous);
  const Tensor index = place.index.contiguous();
  for (int64_t b = 0; b < keys.size(0); ++b)
    keys.mutable_data_ptr<int64_t>()[b] =
        static_cast<int64_t>(mix_key(key, static_cast<uint64_t>(index.const_data_ptr<int64_t>()[b])));
  return keys;
}

}  // namespace

View evaluation_view(const Experiment& x, const View& raw) {
  View view = on_device(x, raw);
  for (const PipelineStep& step : x.augment) {
    if (step.applies_to(0)) view = step.augmentation->evaluate(view);
  }
  return as_input(x, std::move(view));
}

View training_view(const Experiment& x, const View& raw, const Tensor& index, int64_t step, int64_t v) {
  View view = on_device(x, raw);
  AugmentContext context{static_cast<uint64_t>(x.plan.run.seed), step, v, 0, index};
  for (const PipelineStep& step : x.augment) {
    if (step.applies_to(v)) view = step.augmentation->apply(view, context);
    ++context.position;
  }
  view.key = draw_keys(context);  // last: an augmentation may make its view anew
  return as_input(x, std::move(view));
}

}  // namespace foil
