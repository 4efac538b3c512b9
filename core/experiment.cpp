// SPDX-License-Identifier: BSD-3-Clause
#include "experiment.h"

#include "config/allowed.h"
#include "config/dump.h"
#include "config/load.h"
#include "model/weights.h"
#include "needs.h"
#include "plain_words.h"
#include "plugin_paths.h"

#include <torch/types.h>

#include <algorithm>
#include <filesystem>

namespace foil {

void RunOptions::describe(Fields& f) {
  f.text("name", name, "folder of the study under run.output");
  f.integer("seed", seed, "keys weights, batches and views", at_least(0));
  f.integer("epochs", epochs, "passes over the training set; this or steps", at_least(0));
  f.integer("steps", steps, "optimizer steps; this or epochs; -1 = not given", at_least(-1));
  f.path("output", output, "folder of the run folders");
  f.choice("precision", precision, {"fp32", "bf16", "fp64"}, "bf16 is autocast of the encoder and head; fp64 is for tests");
  f.flag("deterministic", deterministic, "only deterministic kernels: the same bits in every repetition");
  f.integer("threads", threads, "threads of this process; 0 = the cores divided by the ranks here", at_least(0));
  f.number("timeout", timeout, "seconds that a rank waits for the others", above(0));
}

void ViewOptions::describe(Fields& f) {
  f.integer("count", count, "augmented views of each sample", at_least(1));
  f.integer("full", full, "the first so many views are at full size, the others small crops; 0 = all", at_least(0));
}

void CheckpointOptions::describe(Fields& f) {
  f.integer("every", every, "steps between checkpoints; 0 = once an epoch", at_least(0));
  f.integer("keep", keep, "the last K checkpoints are kept", at_least(1));
}

void LogOptions::describe(Fields& f) { f.integer("every", every, "steps between rows of metrics.jsonl", at_least(1)); }

namespace {

// Reads the tables of a file one by one; what no reader asked for is unknown.
class Tables {
 public:
  explicit Tables(const Node& root) : root_(root) { resolved.value = Node::Table{}; }

  template <class Options>
  void read(const std::string& name, Options& options) {
    const Node* table = find(name);
    TableReader reader(table, name);
    options.describe(reader);
    reader.finish();
    resolved.set(name, reader.resolved());
  }

  // A table that chooses a component by its `name`. `host`: the keys that the host reads itself.
  template <class Choice>
  Node choose(const Node* table, const std::string& prefix, const std::string& kind, std::string fallback,
              const FindComponent& find, Choice& choice, const std::function<void(Fields&)>& host = {}) {
    TableReader reader(table, prefix);
    reader.text("name", fallback, "what is chosen");
    choice.prefix = prefix;
    choice.place = reader.place("name").text();
    if (fallback.empty()) fail(Exit::usage, table ? table->origin.text() : root_.origin.text(), ": ", prefix, ".name is missing.");
    choice.component = &find(kind, fallback, choice.place);
    if (host) host(reader);
    choice.component->describe(reader);
    reader.finish();
    choice.table = reader.resolved();
    return choice.table;
  }

  const Node* find(const std::string& name) {
    known_.push_back(name);
    const Node* table = root_.find(name);
    if (table && !table->is_table() && name != "loss" && name != "augment") {
      fail(Exit::usage, table->origin.text(), ": ", name, " must be a table: [", name, "].");
    }
    return table;
  }

  // The tables of [[name]]; a single [name] is a list of one.
  std::vector<const Node*> list(const std::string& name) {
    std::vector<const Node*> items;
    const Node* node = find(name);
    if (!node) return items;
    if (node->is_table()) return {node};
    if (!node->is_array()) fail(Exit::usage, node->origin.text(), ": ", name, " must be tables: [[", name, "]].");
    for (const Node& item : std::get<Node::Array>(node->value)) {
      if (!item.is_table()) fail(Exit::usage, item.origin.text(), ": ", name, " must be tables: [[", name, "]].");
      items.push_back(&item);
    }
    return items;
  }

  void finish() const {
    for (const auto& [key, value] : std::get<Node::Table>(root_.value)) {
      if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
        fail(Exit::usage, value.key_origin.text(), ": unknown key ", key, ".", known_names("keys", key, known_));
      }
    }
  }

  Node resolved;

 private:
  const Node& root_;
  std::vector<std::string> known_;
};

struct PluginOptions {
  std::vector<std::string> path;
  void describe(Fields& f) { f.texts("path", path, "further folders of plugins"); }
};

}  // namespace

std::vector<PluginPath> named_plugin_paths(const Node& root) {
  std::vector<PluginPath> paths;
  const Node* plugins = root.find("plugins");
  const Node* list = plugins ? plugins->find("path") : nullptr;
  if (!list || !list->is_array()) return paths;
  for (const Node& item : list->array()) {
    if (!item.is_text()) continue;
    const std::filesystem::path base = item.origin.in_file() ? std::filesystem::path(item.origin.file).parent_path() : ".";
    paths.push_back({std::filesystem::absolute(base / item.text()).lexically_normal().string(), item.text(),
                     item.origin.text() + ": plugins.path[" + std::to_string(&item - list->array().data()) + "]",
                     item.origin.in_file()});
  }
  return paths;
}

std::vector<std::string> plugin_paths(const Node& root) {
  std::vector<std::string> folders;
  for (const PluginPath& path : named_plugin_paths(root)) folders.push_back(path.folder);
  return folders;
}

Plan check(const Node& root, const FindComponent& find) {
  Plan plan;
  Tables tables(root);
  tables.read("run", plan.run);
  if (const Node* run = root.find("run"); run && run->find("steps") && run->find("epochs")) {
    fail(Exit::usage, run->find("steps")->key_origin.text(), ": run.steps and run.epochs are both given; give one.");
  }
  tables.resolved.find("run")->erase(plan.run.steps >= 0 ? "epochs"
                                                         : "steps");  // the one in force remains: what is printed reads back

  Node data =
      tables.choose(tables.find("data"), "data", "data set", "", find, plan.data, [&](Fields& f) { plan.selection.describe(f); });
  tables.resolved.set("data", data);
  tables.resolved.set("sampler", tables.choose(tables.find("sampler"), "sampler", "sampler", "uniform", find, plan.sampler));
  tables.read("views", plan.views);
  if (plan.views.full > plan.views.count) {
    fail(Exit::usage, at_path(root, "views.full")->origin.text(), ": views.full = ", plan.views.full,
         ", allowed: an integer from 0 to ", plan.views.count, ", the views of views.count.");
  }

  Node::Array augment;
  for (const Node* item : tables.list("augment")) {
    plan.augment.emplace_back();
    ChosenAugmentation& chosen = plan.augment.back();
    augment.push_back(tables.choose(item, "augment", "augmentation", "", find, chosen, [&](Fields& f) {
      f.integers("views", chosen.views, "the views that it applies to, from 0; empty = all",
                 between(0, static_cast<double>(plan.views.count - 1)));
    }));
  }
  if (!augment.empty()) tables.resolved.set("augment", Node{augment, {}, {}});

  tables.resolved.set("encoder", tables.choose(tables.find("encoder"), "encoder", "encoder", "", find, plan.encoder));
  tables.read("head", plan.head);
  tables.read("predictor", plan.predictor);
  tables.read("momentum", plan.momentum);
  tables.read("model", plan.model);

  Node::Array losses;
  for (const Node* item : tables.list("loss")) {
    plan.losses.emplace_back();
    ChosenLoss& loss = plan.losses.back();
    losses.push_back(tables.choose(item, "loss", "loss", "", find, loss, [&](Fields& f) {
      f.number("weight", loss.weight, "factor of this loss in the sum");
      f.number("learning_rate_factor", loss.learning_rate_factor, "for the loss's own parameters", at_least(0));
    }));
  }
  if (losses.empty()) fail(Exit::usage, root.origin.text(), ": no [[loss]] is given.");
  tables.resolved.set("loss", Node{losses, {}, {}});

  tables.read("optimizer", plan.optimizer);
  for (const auto& [option, users] : plan.optimizer.unused()) {
    if (const Node* given = at_path(root, "optimizer." + option)) {
      fail(Exit::usage, given->origin.text(), ": optimizer.", option, " = ", shown(*given), ", allowed: where optimizer.name is ",
           allowed_choice(users), "; it is \"", plan.optimizer.name, "\".");
    }
    tables.resolved.find("optimizer")->erase(option);  // what is printed reads back
  }
  tables.read("schedule", plan.schedule);
  tables.read("evaluate", plan.evaluate);
  tables.read("collapse", plan.collapse);
  tables.read("checkpoint", plan.checkpoint);
  tables.read("log", plan.log);
  PluginOptions plugins;
  tables.read("plugins", plugins);
  if (Node* list = tables.resolved.find("plugins")->find("path")) list->value = list_node(plugin_paths(root)).value;
  tables.find("sweep");
  tables.finish();
  plan.resolved = std::move(tables.resolved);
  return plan;
}

namespace {

// What kNN during training needs.
void require_online(const EvaluateOptions& options, const Dataset& data) {
  if (data.classes().empty() || data.size(Split::test) == 0) {
    fail(Exit::usage, "evaluate.every_epochs = ", options.every_epochs, ", allowed: 0, as the data set has no ",
         data.classes().empty() ? "labels." : "test split.");
  }
  if (options.online_samples < options.knn.neighbours) {
    fail(Exit::usage, "evaluate.online_samples = ", options.online_samples,
         ", allowed: at least evaluate.neighbours = ", options.knn.neighbours, ".");
  }
}

EncoderSizes encoder_sizes(const std::vector<int64_t>& shape) {
  if (shape.size() == 1) return {shape[0], 0, 0};
  return {shape.at(0), shape.at(1), shape.at(2)};
}

// Makes the augmentations. Returns the shape of view 0 after them, from which the encoder is sized.
std::vector<int64_t> set_pipeline(Experiment& x, const Plan& plan) {
  std::vector<std::vector<int64_t>> shapes(static_cast<size_t>(plan.views.count), x.dataset->shape());  // by view
  for (const ChosenAugmentation& chosen : plan.augment) {
    PipelineStep step{chosen.make<Augmentation>(), std::vector<bool>(shapes.size(), chosen.views.empty())};
    for (const int64_t v : chosen.views) step.applies[static_cast<size_t>(v)] = true;
    for (size_t v = 0; v < shapes.size(); ++v) {
      if (step.applies[v]) shapes[v] = step.augmentation->shape_after(shapes[v]);
    }
    if (const std::string name = step.augmentation->evaluation_name(); step.applies[0] && !name.empty())
      x.preparation += (x.preparation.empty() ? "" : "-") + name;
    x.augment.push_back(std::move(step));
  }
  if (x.preparation.empty()) x.preparation = "none";
  for (size_t v = 0; v < shapes.size(); ++v) {
    if (std::find(shapes[v].begin(), shapes[v].end(), -1) != shapes[v].end()) {
      fail(Exit::usage, plan.data.place, ": the images of '", plan.data.component->name, "' differ in size: the first [[augment]]",
           v == 0 ? "" : " of view " + std::to_string(v), " must bring them to one size (random_resized_crop).");
    }
  }
  return shapes[0];
}

// Encoder and head, with random weights or those of the file that [model] names.
std::shared_ptr<Tower> make_tower(const Plan& plan, const std::vector<int64_t>& shape) {
  auto encoder = plan.encoder.make<Encoder>();
  encoder->setup(encoder_sizes(shape));
  return std::make_shared<Tower>(encoder, plan.head, plan.model);
}

// Opens the data. What a reader or a library below it throws that is no Error becomes one.
std::shared_ptr<Dataset> open_data(const Chosen& data) {
  const std::string place = data.place + ": the data set '" + data.component->name + "' ";
  std::shared_ptr<Dataset> dataset;
  try {
    dataset = data.make<Dataset>();
  } catch (const Error&) {
    throw;
  } catch (const c10::Error& error) {
    fail(Exit::data, place, "cannot be read: ", error.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    fail(Exit::data, place, "does not fit into memory.");
  } catch (const std::exception& error) {
    fail(Exit::data, place, "cannot be read: ", error.what());
  }
  if (dataset->size(Split::train) <= 0) fail(Exit::data, place, "has no training sample.");
  return dataset;
}

Experiment construct(Plan plan, at::Device device) {
  Experiment x;
  x.device = device;
  x.dtype = plan.run.precision == "fp64" ? at::kDouble : at::kFloat;
  const uint64_t seed = static_cast<uint64_t>(plan.run.seed);

  const auto whole = open_data(plan.data);
  x.whole = whole;
  const Tensor labels = whole->labels(Split::train);
  const Tensor rows = select_training(labels, whole->size(Split::train), plan.selection, seed);
  x.dataset = rows.size(0) == whole->size(Split::train) ? whole : std::make_shared<SelectedDataset>(whole, rows);
  x.sampler = plan.sampler.make<Sampler>();
  x.sampler->setup(seed, plan.selection.batch_size, x.dataset->size(Split::train), x.dataset->labels(Split::train));
  x.steps_per_epoch = x.sampler->steps_per_epoch();
  x.total_steps = plan.run.steps >= 0 ? plan.run.steps : plan.run.epochs * x.steps_per_epoch;

  if (plan.evaluate.every_epochs > 0) require_online(plan.evaluate, *x.dataset);

  const std::vector<int64_t> shape = set_pipeline(x, plan);
  torch::manual_seed(seed);
  x.tower = make_tower(plan, shape);

  x.sizes = {.z_dim = x.tower->z_dim(),
             .feature_dim = x.tower->feature_dim(),
             .dataset_size = x.dataset->size(Split::train),
             .classes = static_cast<int64_t>(x.dataset->classes().size()),
             .views = plan.views.count,
             .full_views = plan.views.full_views(),
             .batch_size = plan.selection.batch_size};
  const Tensor kept = x.dataset->labels(Split::train);
  const bool labelled = x.sizes.classes > 0 && kept.defined() && (kept >= 0).any().item<bool>();
  bool predictor = false, target = false;
  for (const ChosenLoss& chosen : plan.losses) {
    auto loss = chosen.make<Loss>();
    const Needs needs = loss->needs();
    require(needs, chosen, plan, x.sizes, labelled);
    predictor = predictor || needs.predictor;
    target = target || needs.target;
    in_plain_words(chosen.place + ": the set-up of the loss '" + chosen.component->name + "'", [&] { loss->setup(x.sizes); });
    move_to(*loss, device, x.dtype);
    LossTerm term{chosen.component->name, loss, chosen.weight, chosen.learning_rate_factor, {}};
    for (const QueueNeed& need : needs.queues) {
      const uint64_t key = mix_key(mix_key(mix_key(seed, name_key("queue")), x.losses.size()), term.queues.size());
      term.queues.push_back(make_queue(need, chosen, x.sizes, key, at::device(device).dtype(x.dtype)));
    }
    x.losses.push_back(std::move(term));
  }
  if (target) {
    x.momentum = make_tower(plan, shape);
    copy_tower(*x.tower, *x.momentum);
    move_to(*x.momentum, device, x.dtype);
  }
  if (predictor) x.tower->add_predictor(plan.predictor);
  move_to(*x.tower, device, x.dtype);
  x.plan = std::move(plan);
  return x;
}

}  // namespace

Experiment build(Plan plan, at::Device device) {
  const Node resolved = plan.resolved;
  try {
    return construct(std::move(plan), device);
  } catch (const Error& error) {  // one that begins with a key, "data.batch_size = 64, allowed: ...", does not know its place
    const std::string text = error.what(), key = text.substr(0, text.find_first_of(" :"));
    const Node* value = at_path(resolved, key);
    if (!value || key.find('.') == std::string::npos) throw;
    const Node* table = at_path(resolved, key.substr(0, key.rfind('.')));
    const bool given = value->origin.text() != "default";
    throw Error((given ? value : table)->origin.text() + ": " + text, error.code());
  }
}

std::vector<std::pair<std::string, std::shared_ptr<torch::nn::Module>>> modules(const Experiment& x) {
  std::vector<std::pair<std::string, std::shared_ptr<torch::nn::Module>>> all{{"tower.", x.tower}};
  if (x.momentum) all.emplace_back("momentum.", x.momentum);
  for (size_t i = 0; i < x.losses.size(); ++i) all.emplace_back("loss." + std::to_string(i) + ".", x.losses[i].loss);
  for (size_t i = 0; i < x.losses.size(); ++i) {
    for (size_t q = 0; q < x.losses[i].queues.size(); ++q)
      all.emplace_back("queue." + std::to_string(i) + "." + std::to_string(q) + ".", x.losses[i].queues[q]);
  }
  return all;
}

namespace {

// What the tower takes: floats of the run's precision on its device; bytes become [0, 1].
View as_input(const Experiment& x, View view) {
  if (view.data.scalar_type() == at::kByte) view.data = as_float_image(view.data);
  view.data = view.data.to(x.device, x.dtype);
  return view;
}

// What an encoder's draws are keyed by: (seed, step, view, sample).
Tensor draw_keys(const AugmentContext& place) {
  const uint64_t key = mix_key(mix_key(mix_key(place.seed, name_key("encoder")), static_cast<uint64_t>(place.step)),
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
  View view = raw;
  if (view.data.defined()) view.data = view.data.to(x.device);
  for (const PipelineStep& step : x.augment) {
    if (step.applies_to(0)) view = step.augmentation->evaluate(view);
  }
  return as_input(x, std::move(view));
}

View training_view(const Experiment& x, const View& raw, const Tensor& index, int64_t step, int64_t v) {
  View view = raw;
  if (view.data.defined()) view.data = view.data.to(x.device);
  AugmentContext context{static_cast<uint64_t>(x.plan.run.seed), step, v, 0, index};
  for (const PipelineStep& step : x.augment) {
    if (step.applies_to(v)) view = step.augmentation->apply(view, context);
    ++context.position;
  }
  view.key = draw_keys(context);  // last: an augmentation may make its view anew
  return as_input(x, std::move(view));
}

}  // namespace foil
