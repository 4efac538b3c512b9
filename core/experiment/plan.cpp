// SPDX-License-Identifier: BSD-3-Clause
// check(): the tables of an experiment file -> a Plan. Every key, value and name is looked at, the options of
// every component against one another; nothing is opened, nothing created.
#include "api/plain_words.h"
#include "config/allowed.h"
#include "config/dump.h"
#include "config/load.h"
#include "config/path.h"
#include "experiment/experiment.h"
#include "experiment/needs.h"
#include "experiment/plugin_paths.h"
#include "experiment/tables.h"
#include "experiment/tower_plan.h"
#include "run/text.h"

#include <algorithm>
#include <cctype>

namespace foil {

void RunOptions::describe(Fields& f) {
  f.text("name", name, "folder of the study under run.output");
  f.integer("seed", seed, "keys weights, batches and views", any_seed());
  f.integer("epochs", epochs, "passes over the training set; this or steps", at_least(0));
  f.integer("steps", steps, "optimizer steps; this or epochs; -1 = not given", at_least(-1));
  f.path("output", output, "folder of the run folders");
  f.choice("precision", precision,
           {{"fp32", Precision::fp32}, {"bf16", Precision::bf16}, {"fp64", Precision::fp64}},
           "bf16 is autocast of the encoder and head; fp64 is for tests");
  f.flag("deterministic", deterministic, "only deterministic kernels: the same bits in every repetition");
  f.integer("threads", threads, "threads of this process; 0 = the cores divided by the ranks here",
            between(0, 1024));
  f.number("timeout", timeout, "seconds that a rank waits for the others", between(1, 1e6));
}

void ViewOptions::describe(Fields& f) {
  f.integer("count", count, "augmented views of each sample", between(1, 1000));
  f.integer("full", full, "the first so many views are at full size, the others small crops; 0 = all",
            at_least(0));
  f.texts("of", of, "the modality of each view, instead of count; empty = count views of the only one");
}

void CheckpointOptions::describe(Fields& f) {
  f.integer("every", every, "steps between checkpoints; 0 = once an epoch", at_least(0));
  f.integer("keep", keep, "the last K checkpoints are kept", at_least(1));
}

void LogOptions::describe(Fields& f) {
  f.integer("every", every, "steps between rows of metrics.jsonl", at_least(1));
}

namespace {

bool given(const Node& value) { return value.origin.text() != "default"; }

}  // namespace

void Chosen::refused(const std::exception& error) const {
  const auto* known = dynamic_cast<const Error*>(&error);
  if (!known) {
    const Exit code = component->kind == "data set" ? Exit::data : Exit::usage;
    fail(code, place, ": the ", component->kind, " '", component->name, "': ", plain_words(error), ".");
  }
  const std::string text = known->what(), &key = known->key();
  const bool of_options = known->code() == Exit::usage || known->code() == Exit::failure;
  if (!of_options || key.find('.') != std::string::npos || text.starts_with(place)) throw;
  if (key.empty()) throw Error(place + ": " + text, Exit::usage);
  const Node* value = table.find(key);
  throw Error((value && given(*value) ? value->origin.text() : place) + ": " + prefix + "." + text,
              Exit::usage);
}

void cannot_be_made(const std::string& key, const std::exception& error) {
  if (dynamic_cast<const Error*>(&error)) throw;
  throw Error(key + ": " + plain_words(error) + ".", Exit::usage, key);
}

Error with_place(const Error& error, const Node& resolved) {
  const std::string& key = error.key();
  const Node* value = at_path(resolved, key);
  if (!value || key.find('.') == std::string::npos) return error;
  const Node* table = at_path(resolved, key.substr(0, key.rfind('.')));
  const Node* where = given(*value) ? value : given(*table) ? table : &resolved;
  return Error(where->origin.text() + ": " + error.what(), error.code());
}

namespace {

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
    const std::string key = "plugins.path[" + std::to_string(&item - list->array().data()) + "]";
    paths.push_back({absolute_path(path_of(item, key), item, key), item.text(),
                     item.origin.text() + ": " + key, item.origin.in_file()});
  }
  return paths;
}

std::vector<std::string> plugin_paths(const Node& root) {
  std::vector<std::string> folders;
  for (const PluginPath& path : named_plugin_paths(root)) folders.push_back(path.folder);
  return folders;
}

namespace {

// A name that is one folder, is no option of a command, and is seen as it is written.
void require_folder_name(const std::string& key, const std::string& name) {
  constexpr size_t kMostBytes = 100;
  const auto first = static_cast<unsigned char>(name.empty() ? '.' : name.front());
  const bool begins_well = std::isalnum(first) || first == '_' || first >= 0x80;
  if (begins_well && name.size() <= kMostBytes && name.find('/') == std::string::npos &&
      printable(name) == name)
    return;
  refuse(key, shown({name, {}, {}}),
         "the name of a folder: at most " + std::to_string(kMostBytes) +
             " bytes, the first a letter, digit or '_', without '/' and control characters");
}

void read_run(Tables& tables, const Node& root, RunOptions& run) {
  tables.read("run", run);
  require_folder_name("run.name", run.name);
  if (const Node* given = root.find("run"); given && given->find("steps") && given->find("epochs")) {
    const std::string place = given->find("steps")->key_origin.text();
    fail(Exit::usage, place, ": run.steps and run.epochs are both given; give one.");
  }
  // The one in force remains: what is printed reads back.
  tables.resolved.find("run")->erase(run.steps >= 0 ? "epochs" : "steps");
}

void read_data(Tables& tables, const FindComponent& find, Plan& plan) {
  const auto selection = [&](Fields& f) { plan.selection.describe(f); };
  tables.resolved.set("data",
                      tables.choose(tables.find("data"), "data", "data set", "", find, plan.data, selection));
  const bool all = plan.selection.batch_size == 0;
  tables.resolved.set("sampler", tables.choose(tables.find("sampler"), "sampler", "sampler",
                                               all ? "all" : "uniform", find, plan.sampler));
  if (const std::string& name = plan.sampler.component->name; all && name != "all")
    fail(Exit::usage, plan.sampler.place, ": sampler.name = ", shown({name, {}, {}}),
         ", allowed: \"all\" or none where data.batch_size = 0: a step is all samples in their order.");
}

// `of` says how many views there are.
void count_views(Tables& tables, const Node& root, ViewOptions& views) {
  if (views.of.empty()) return;
  const auto named = static_cast<int64_t>(views.of.size());
  if (at_path(root, "views.count") && views.count != named)
    refuse("views.count", views.count,
           std::to_string(named) + ", as views.of names so many, or leave it out");
  views.count = named;
  tables.resolved.find("views")->erase("count");  // what is printed reads back
}

void read_views(Tables& tables, const Node& root, const FindComponent& find, Plan& plan) {
  tables.read("views", plan.views);
  count_views(tables, root, plan.views);
  if (plan.views.full > plan.views.count) {
    refuse("views.full", plan.views.full,
           "an integer from 0 to " + std::to_string(plan.views.count) + ", the views of views.count");
  }
  Node::Array augment;
  for (const Node* item : tables.list("augment")) {
    plan.augment.emplace_back();
    ChosenAugmentation& chosen = plan.augment.back();
    augment.push_back(tables.choose(item, "augment", "augmentation", "", find, chosen, [&](Fields& f) {
      f.text("modality", chosen.modality, "the modality that it applies to; empty = all that it is for");
      f.integers("views", chosen.views, "the views that it applies to, from 0; empty = all that it is for",
                 between(0, static_cast<double>(plan.views.count - 1)));
    }));
    chosen.make<Augmentation>();  // options that contradict each other
  }
  if (!augment.empty()) tables.resolved.set("augment", Node{augment, {}, {}});
}

// A table that no loss makes use of is refused where it is given, and is no part of what is printed.
void require_use(Tables& tables, const Node& root, const char* table, const char* what, bool used) {
  if (used) return;
  if (const Node* given = root.find(table)) {
    fail(Exit::usage, given->key_origin.text(), ": [", table, "] is given, allowed: where a loss needs ",
         what, " (`foil describe LOSS` says what it needs).");
  }
  tables.resolved.erase(table);
}

void read_losses(Tables& tables, const Node& root, const FindComponent& find, Plan& plan) {
  Node::Array losses;
  bool predictor = false, target = false;
  for (const Node* item : tables.list("loss")) {
    plan.losses.emplace_back();
    ChosenLoss& loss = plan.losses.back();
    losses.push_back(tables.choose(item, "loss", "loss", "", find, loss, [&](Fields& f) {
      f.integers("views", loss.views, "the views that it sees, from 0, in its order; empty = all",
                 between(0, static_cast<double>(plan.views.count - 1)));
      f.number("weight", loss.weight, "factor of this loss in the sum");
      f.number("learning_rate_factor", loss.learning_rate_factor, "for the loss's own parameters",
               at_least(0));
    }));
    const Needs needs = loss.make<Loss>()->needs();
    require_views(needs, loss, views_of(loss, plan.views));
    require_all_samples(needs, loss, plan.selection);
    predictor = predictor || needs.predictor;
    target = target || needs.target;
  }
  if (losses.empty()) fail(Exit::usage, root.origin.text(), ": no [[loss]] is given.");
  tables.resolved.set("loss", Node{losses, {}, {}});
  require_use(tables, root, "predictor", "predictions", predictor);
  require_use(tables, root, "momentum", "targets", target);
}

void read_optimizer(Tables& tables, const Node& root, OptimizerOptions& optimizer) {
  tables.read("optimizer", optimizer);
  for (const auto& [option, users] : optimizer.unused()) {
    if (const Node* given = at_path(root, "optimizer." + option)) {
      fail(Exit::usage, given->origin.text(), ": optimizer.", option, " = ", shown(*given),
           ", allowed: where optimizer.name is ", allowed_choice(users), "; it is ",
           shown(*at_path(tables.resolved, "optimizer.name")), ".");
    }
    tables.resolved.find("optimizer")->erase(option);  // what is printed reads back
  }
  optimizer.check();
}

Plan check_all(Tables& tables, const Node& root, const FindComponent& find) {
  Plan plan;
  read_run(tables, root, plan.run);
  read_data(tables, find, plan);
  read_views(tables, root, find, plan);
  read_towers(tables, find, plan);
  tables.read("momentum", plan.momentum);
  tables.read("train", plan.train);
  plan.train.check();
  read_losses(tables, root, find, plan);
  read_optimizer(tables, root, plan.optimizer);
  tables.read("schedule", plan.schedule);
  tables.read("evaluate", plan.evaluate);
  plan.evaluate.check();
  tables.read("collapse", plan.collapse);
  tables.read("checkpoint", plan.checkpoint);
  tables.read("log", plan.log);
  PluginOptions plugins;
  tables.read("plugins", plugins);
  if (Node* list = tables.resolved.find("plugins")->find("path"))
    list->value = list_node(plugin_paths(root)).value;
  tables.find("sweep");
  tables.find("report");
  tables.finish();
  return plan;
}

}  // namespace

Plan check(const Node& root, const FindComponent& find) {
  Tables tables(root);
  try {
    Plan plan = check_all(tables, root, find);
    plan.resolved = std::move(tables.resolved);
    return plan;
  } catch (const Error& error) {
    throw with_place(error, tables.resolved);
  }
}

}  // namespace foil
