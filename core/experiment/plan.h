// SPDX-License-Identifier: BSD-3-Clause
// Plan: an experiment file, checked whole and turned into options.
#pragma once

#include "config/node.h"
#include "config/reader.h"
#include "config/sweep.h"
#include "data/selection.h"
#include "evaluate/collapse.h"
#include "evaluate/evaluate.h"
#include "model/momentum.h"
#include "model/optimizer.h"
#include "model/pass.h"
#include "model/queue.h"
#include "model/schedule.h"
#include "model/tower.h"

#include <foil/component.h>

#include <algorithm>

namespace foil {

struct RunOptions {
  std::string name = "run";
  int64_t seed = 0;
  int64_t epochs = 1;
  int64_t steps = -1;  // when given, epochs do not count
  std::string output = "runs";
  enum class Precision { fp32, bf16, fp64 };
  Precision precision = Precision::fp32;
  bool bf16() const { return precision == Precision::bf16; }
  bool deterministic = false;
  int64_t threads = 0;
  double timeout = 600;
  void describe(Fields& f);
};

struct ViewOptions {
  int64_t count = 2;
  int64_t full = 0;
  std::vector<std::string> of;  // the modality of each view; empty: all of the only one
  int64_t full_views() const { return full == 0 ? count : full; }
  bool several_modalities() const {
    return std::any_of(of.begin(), of.end(), [&](const std::string& name) { return name != of[0]; });
  }
  void describe(Fields& f);
};

struct CheckpointOptions {
  int64_t every = 0;
  int64_t keep = 2;
  int64_t steps(int64_t steps_per_epoch) const { return every > 0 ? every : steps_per_epoch; }
  void describe(Fields& f);
};

struct LogOptions {
  int64_t every = 1;
  void describe(Fields& f);
};

// A component's table: what to make and from which options. `make` reads the table again and constructs.
struct Chosen {
  const Component* component = nullptr;
  Node table;
  std::string prefix;  // "loss", "augment": how messages name the table
  std::string place;   // file:line:column of its name
  template <class Interface>
  std::shared_ptr<Interface> make() const {
    return placed([&] {
      TableReader reader(&table, prefix);
      return std::static_pointer_cast<Interface>(component->make(reader));
    });
  }
  // What the component answers. An option that it refuses gets its name and place in the file, what it
  // refuses without naming an option the place of the component, and so does a size that no memory holds.
  // Every call that may refuse goes through here.
  template <class Call>
  auto placed(Call call) const {
    try {
      return call();
    } catch (const std::exception& error) {
      refused(error);
    }
  }

 private:
  [[noreturn]] void refused(const std::exception& error) const;  // inside a catch
};

struct ChosenAugmentation : Chosen {
  std::string modality;        // that it applies to; empty = all
  std::vector<int64_t> views;  // of these; empty = all
};

struct ChosenLoss : Chosen {
  std::vector<int64_t> views;  // that it sees, in its order; empty = all
  double weight = 1;
  double learning_rate_factor = 1;
};

// An encoder and its heads: the plain keys of [encoder], [head], [predictor] and [model], or these under what
// the sub-tables of one name say otherwise ([encoder.text], [head.text]).
struct TowerPlan {
  std::string name;   // of the sub-tables: a modality or a kind; empty for the plain keys
  std::string place;  // of the first of them in the file
  Chosen encoder;     // of the plain keys maybe none
  HeadOptions head;
  PredictorOptions predictor;
  ModelOptions model;
  // What a table of it is called: "head", "head.text".
  std::string table(const std::string& of) const { return name.empty() ? of : of + "." + name; }
};

// The file, checked: every key known, every value in range, every name registered; nothing opened or created
// yet.
struct Plan {
  Node resolved;  // every value in force, with its origin
  RunOptions run;
  SelectionOptions selection;
  ViewOptions views;
  TowerPlan tower;                // of the plain keys
  std::vector<TowerPlan> towers;  // of the sub-tables, in the order of the file
  MomentumOptions momentum;
  MicroBatchOptions train;
  OptimizerOptions optimizer;
  ScheduleOptions schedule;
  EvaluateOptions evaluate;
  CollapseOptions collapse;
  CheckpointOptions checkpoint;
  LogOptions log;
  Chosen data, sampler;
  std::vector<ChosenAugmentation> augment;
  std::vector<ChosenLoss> losses;
};

// Ends what could not be made of the option `key`: the words of LibTorch or the standard library, without
// their trace.
[[noreturn]] void cannot_be_made(const std::string& key, const std::exception& error);

// The tower of a modality: that of its sub-tables, else of those of its kind, else of the plain keys.
const TowerPlan& tower_plan(const Plan& plan, const std::string& modality, Kind kind);

// What foil::refuse refused under a full key ("data.batch_size"), with its place in `resolved`; other errors
// as they are. The place of a value that was not given is that of its table.
Error with_place(const Error& error, const Node& resolved);

// [plugins] path as absolute folders; what is not a list of texts is left to `check`.
std::vector<std::string> plugin_paths(const Node& root);

// Finds a registered component; the third argument is the place of the name, for the message.
using FindComponent = std::function<const Component&(const std::string& kind, const std::string& name,
                                                     const std::string& place)>;

// Throws Error (Exit::usage) with file:line:column for whatever is wrong in the file.
Plan check(const Node& root, const FindComponent& find);

}  // namespace foil
