// SPDX-License-Identifier: BSD-3-Clause
// What a loss asks for (Needs) against what an experiment has: refused, made, or warned of.
#pragma once

#include "experiment/experiment.h"

namespace foil {

// How many views a loss sees, and how many of them, the first, are at full size. Throws Error (Exit::usage)
// at the place of the loss for a view named twice and for a small crop before a full view.
ViewOptions views_of(const ChosenLoss& chosen, const ViewOptions& all);

// Throw Error (Exit::usage) at the place of the loss for what it needs and the experiment has not: views,
// which the file alone says; labels, which the data say. `options`: of the views that it sees. `labelled`:
// some training sample has a label.
void require_views(const Needs& needs, const ChosenLoss& chosen, const ViewOptions& options);
void require_labels(const Needs& needs, const ChosenLoss& chosen, const Plan& plan, bool labelled);

// The same for a graph, all of whose nodes are the batch: first what the file says of the batch, then whether
// the data are one; for the weights, by the names of the model's parameters; and for what a decoder gives of
// the views that the loss sees. `decoded`: by view of the experiment, whether its encoder gives any.
void require_all_samples(const Needs& needs, const ChosenLoss& chosen, const SelectionOptions& options);
void require_graph(const Needs& needs, const ChosenLoss& chosen, const Plan& plan, bool is_graph);
void require_weights(const Needs& needs, const ChosenLoss& chosen, const Model& model);
void require_decoded(const Needs& needs, const ChosenLoss& chosen, const std::vector<bool>& decoded);

// One of the loss's queues. Throws Error (Exit::usage) at the place of the loss where it cannot fit into this
// machine's memory, before anything is drawn.
std::shared_ptr<QueueStore> make_queue(const QueueNeed& need, const ChosenLoss& chosen, const Sizes& sizes,
                                       uint64_t key, const at::TensorOptions& options);

// What is allowed and hardly meant, a line each: one sample a batch, a queue longer than the training set.
// `needs`: of each loss.
std::vector<std::string> cautions(const Plan& plan, const std::vector<Needs>& needs, const Sizes& sizes);

}  // namespace foil
