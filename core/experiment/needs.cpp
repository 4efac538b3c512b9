// SPDX-License-Identifier: BSD-3-Clause
// What a loss asks for and the experiment has not, said where the loss stands in the file.
#include "experiment/needs.h"

#include "api/loss_tensors.h"
#include "run/file.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

namespace foil {
namespace {

// " (queue_length = 4096)": the options of a table that are `value`.
std::string options_of_value(const Node& table, int64_t value) {
  std::string text;
  for (const auto& [key, node] : table.table())
    if (node.is_integer() && node.integer() == value)
      text += (text.empty() ? " (" : ", ") + key + " = " + std::to_string(value);
  return text.empty() ? text : text + ")";
}

std::string start_of(const ChosenLoss& chosen) {
  return chosen.place + ": the loss '" + chosen.component->name + "' needs ";
}

}  // namespace

ViewOptions views_of(const ChosenLoss& chosen, const ViewOptions& all) {
  if (chosen.views.empty()) return all;
  ViewOptions seen{static_cast<int64_t>(chosen.views.size()), 0, {}};
  int64_t full = 0;
  for (size_t i = 0; i < chosen.views.size(); ++i) {
    const int64_t v = chosen.views[i];
    if (std::count(chosen.views.begin(), chosen.views.end(), v) > 1)
      fail(Exit::usage, chosen.place, ": loss.views names view ", v, " twice, allowed: each once.");
    if (v >= all.full_views()) continue;
    if (full < static_cast<int64_t>(i))
      fail(Exit::usage, chosen.place, ": loss.views names view ", v,
           " behind a small crop, allowed: views at full size first.");
    ++full;
  }
  if (full == 0)
    fail(Exit::usage, chosen.place,
         ": loss.views names no view at full size, allowed: one or more of the first ", all.full_views(),
         ".");
  seen.full = full;
  return seen;
}

void require_views(const Needs& needs, const ChosenLoss& chosen, const ViewOptions& options) {
  const std::string what = start_of(chosen);
  const int64_t views = options.count;
  if (views < needs.min_views || (needs.max_views != any_number && views > needs.max_views)) {
    fail(Exit::usage, what, views_text(needs),
         chosen.views.empty() ? ", views.count = " : ", loss.views names ", views, ".");
  }
  for (const QueueNeed& queue : needs.queues) {
    const bool online = queue.source == QueueNeed::Source::online;
    if (!online && !needs.target)
      fail(Exit::usage, what, "a queue of targets, and does not ask for targets.");
    const int64_t there = online ? views : options.full_views();
    if (queue.view >= there) {
      fail(Exit::usage, what, "view ", queue.view, online ? "" : " at full size", " (they count from 0), ",
           online ? "views.count" : "views.full", " = ", there, ".");
    }
  }
}

void require_labels(const Needs& needs, const ChosenLoss& chosen, const Plan& plan, bool labelled) {
  const bool in_queue = std::any_of(needs.queues.begin(), needs.queues.end(),
                                    [](const QueueNeed& queue) { return queue.label; });
  if (labelled || (!needs.labels && !in_queue)) return;
  fail(Exit::usage, start_of(chosen), "labels", needs.labels ? "" : " in its queue", ", the data set '",
       plan.data.component->name, "' has none.");
}

void require_all_samples(const Needs& needs, const ChosenLoss& chosen, const SelectionOptions& options) {
  if (!needs.graph || options.batch_size == 0) return;
  fail(Exit::usage, start_of(chosen),
       "all nodes of a graph in each step, data.batch_size = ", options.batch_size, ", allowed: 0.");
}

void require_graph(const Needs& needs, const ChosenLoss& chosen, const Plan& plan, bool is_graph) {
  if (!needs.graph || is_graph) return;
  fail(Exit::usage, start_of(chosen), "a graph, the data set '", plan.data.component->name, "' is none.");
}

void require_weights(const Needs& needs, const ChosenLoss& chosen, const Model& model) {
  if (needs.weights.empty()) return;
  std::vector<std::string> known;
  for (const auto& [name, weight] : model.parameters()) known.push_back(name);
  for (const std::string& name : needs.weights) {
    if (std::find(known.begin(), known.end(), name) == known.end())
      fail(Exit::usage, start_of(chosen), "the weight '", name, "', the model has none of that name.",
           known_names("weights", name, known));
  }
}

void require_decoded(const Needs& needs, const ChosenLoss& chosen, const std::vector<bool>& decoded) {
  if (!needs.decoded) return;
  for (size_t v = 0; v < decoded.size(); ++v) {
    const bool seen = chosen.views.empty() ||
                      std::count(chosen.views.begin(), chosen.views.end(), static_cast<int64_t>(v)) > 0;
    if (seen && !decoded[v])
      fail(Exit::usage, start_of(chosen), "what a decoder gives of view ", v,
           ", its encoder decodes nothing.");
  }
}

std::shared_ptr<QueueStore> make_queue(const QueueNeed& need, const ChosenLoss& chosen, const Sizes& sizes,
                                       uint64_t key, const at::TensorOptions& options) {
  const double bytes = static_cast<double>(need.length) * static_cast<double>(sizes.z_dim) * sizeof(double);
  const double memory = static_cast<double>(machine_memory());
  if (bytes > memory / 2) {
    fail(Exit::usage, chosen.place, ": the loss '", chosen.component->name, "' asks for a queue of ",
         need.length, " rows", options_of_value(chosen.table, need.length), " of ", sizes.z_dim,
         " numbers: ", std::llround(bytes / 1e9), " GB to make it, allowed: half of this machine's memory, ",
         std::llround(memory / 2e9), " GB.");
  }
  return std::make_shared<QueueStore>(need, sizes.z_dim, key, options);
}

std::vector<std::string> cautions(const Plan& plan, const std::vector<Needs>& needs, const Sizes& sizes) {
  std::vector<std::string> lines;
  for (size_t i = 0; i < needs.size(); ++i) {
    const ChosenLoss& chosen = plan.losses[i];
    const std::string loss = "the loss '" + chosen.component->name + "'";
    if (sizes.batch_size == 1 && !needs[i].target)
      lines.push_back(chosen.place + ": data.batch_size = 1: " + loss +
                      " has no other sample in the batch to tell one from.");
    for (const QueueNeed& queue : needs[i].queues) {
      if (queue.length <= sizes.dataset_size || queue.index) continue;
      lines.push_back(chosen.place + ": the queue of " + loss + ", " + std::to_string(queue.length) +
                      " rows" + options_of_value(chosen.table, queue.length) +
                      ", is longer than the training set, " + std::to_string(sizes.dataset_size) +
                      " samples: a sample meets earlier rows of its own in it.");
      break;  // its others are alike
    }
  }
  return lines;
}

}  // namespace foil
