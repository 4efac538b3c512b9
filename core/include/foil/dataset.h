// SPDX-License-Identifier: BSD-3-Clause
// Dataset: raw samples by index. Built-in readers live in core/data; plugins may add more.
#pragma once

#include <foil/view.h>

namespace foil {

// What is trained on, what choices are made by, and what results are measured on.
enum class Split { train, validation, test };

// Const throughout: once made, a data set does not change. Its constructor finds the files, and throws Error
// (Exit::data) naming the one that is missing or damaged.
class FOIL_API Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size(Split split) const = 0;  // samples; 0 when the data set has no such split
  // Names of the classes in label order; empty for a data set without labels.
  virtual std::vector<std::string> classes() const = 0;
  // int64 [size(split)] on the CPU, -1 where a sample has none: it is then of no class, also not of that of
  // another without one. Undefined for a data set without labels.
  virtual Tensor labels(Split split) const = 0;
  // What a sample is made of, one or more, in the order in which read() gives their views.
  virtual std::vector<Modality> modalities() const = 0;
  // The raw samples with these indices (int64 [B] on the CPU, any order, repeats allowed), one View per
  // modality, as View says of its kind; of a graph the whole, whatever the index. Called from several threads
  // at once. Throws Error (Exit::data) naming the file of a sample that cannot be read.
  virtual Views read(Split split, const Tensor& index) const = 0;
  // What retrieval from one modality to another looks for: int64 [size(split)] on the CPU, rows of one group
  // are relevant to each other, -1 is of none. Undefined: each row only to itself.
  virtual Tensor groups(Split) const { return {}; }
  // Of one graph, whose nodes are the samples: int64 [size(split)] on the CPU, which node each is. Sample i
  // of the training split is node i, all nodes are in it, and labels(Split::train) are -1 but for the nodes
  // whose label may be learned from. Undefined: the samples are no nodes.
  virtual Tensor nodes(Split) const { return {}; }
  // Of one graph: int64 [nodes] on the CPU, the label of every node, for protocols that draw splits of their
  // own. No loss ever sees them.
  virtual Tensor node_labels() const { return {}; }
  // What was read, as a short text that differs when the samples or labels do: a checksum of the files. It
  // enters the protocol of every result, and a run does not go on with other data. Empty: not known, and
  // neither is looked at.
  virtual std::string identity() const { return {}; }
  // True when read() only copies from memory: no thread then reads ahead, and the whole set may live on the
  // device.
  virtual bool in_memory() const { return false; }
};

}  // namespace foil
