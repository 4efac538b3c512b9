// SPDX-License-Identifier: BSD-3-Clause
// The tensors of a LossInput by name, "z.0", "queue_label.1", "label", "weight.encoder.conv1.weight": one
// list for whoever gives a loss its input, checks, shards, saves or differentiates it. A tensor that
// LossInput gains is a line here.
#pragma once

#include <foil/loss.h>

namespace foil {

struct TensorKind {
  // whole_view: of a view, and of a graph whole on every rank. weight: by its name, equal on every rank.
  enum class Per { view, full_view, whole_view, queue, batch, weight };
  // z [B, D] or [K, D]; features [B, F]; decoded [B, ...]; data as View says; values: floats of any shape;
  // label and index int64 [B] or [K]; ends int64 [2, E].
  enum class Columns { z, features, decoded, data, values, label, index, ends };

  const char* name;  // "p" of p.0, p.1, ...
  const char* noun;  // "prediction": one of them; empty: the name says it
  const char* what;  // "the predictor on each view"
  const char* asks;  // "needs.predictor = true": the line of needs() that asks for it; empty: always there
  const char* host;  // "a predictor": what a host must have for it; empty: nothing of its own
  Per per;
  Columns columns;
  bool differentiable;  // gradient flows to it
  bool unit;            // of unit norm unless Needs::raw_z
  // Whether a loss of these needs reads it; of the kinds per queue, that of queue i.
  bool (*asked)(const Needs& needs, size_t i);
  // Number i of this kind in `input`; how many there are; as many as n, undefined at first.
  Tensor& (*at)(LossInput& input, size_t i) = nullptr;
  size_t (*count)(const LossInput& input) = nullptr;
  void (*resize)(LossInput& input, size_t n) = nullptr;

  // Floats, whatever the loss; the data of a view may be tokens.
  bool is_float() const {
    return columns == Columns::z || columns == Columns::features || columns == Columns::decoded ||
           columns == Columns::values;
  }
  // Its rows are the samples of this rank.
  bool per_sample() const { return per == Per::view || per == Per::full_view || per == Per::batch; }
  // Comes with another kind, without which there is none: the labels of a queue, the edges of a view.
  bool is_part() const {
    return (per == Per::queue && !is_float()) || (per == Per::whole_view && columns != Columns::data);
  }
  // Of number i in `input`: "p.1", "label", "weight.encoder.conv1.weight".
  std::string name_of(const LossInput& input, size_t i) const;
};

// Embeddings in the order in which they are made, then what a batch and its views are: h, decoded, z, p,
// target, queue, queue_label, queue_index, label, index, x, edges, edge_weight, params, weight.
const std::vector<TensorKind>& tensor_kinds();

// One tensor of an input: it may be assigned to.
struct NamedTensor {
  std::string name;
  const TensorKind* kind;
  size_t i;
  Tensor* tensor;
};
// Those of `input` that are defined.
std::vector<NamedTensor> tensors_of(LossInput& input);

// The inverse: an input of these tensors and nothing else; a view with edges is one of a graph. Throws Error
// (Exit::usage) for a name that is none of a tensor and for one whose number leaves a gap.
LossInput named_input(const std::map<std::string, Tensor>& tensors);

// `input` with those of unit norm brought to it, unless `raw`, and other floats in fp32 or wider; ids and
// tokens as they are.
LossInput scaled(LossInput input, bool raw = false);
// Without what the loss does not ask for; the index is always there. Nothing is kept, reported or gathered.
LossInput selected(const Needs& needs, const LossInput& input);

// "2 views", "2 or more views", "2 to 4 views".
std::string views_text(const Needs& needs);
// All that a loss needs, as a person says it: "2 views, labels, a queue of 4096 rows with labels".
std::string needs_text(const Needs& needs);

}  // namespace foil
