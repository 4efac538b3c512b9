// SPDX-License-Identifier: BSD-3-Clause
// The tensors of a LossInput by name, "z.0", "queue_label.1", "label": one list for whoever gives a loss its
// input, checks, shards, saves or differentiates it. A tensor that LossInput gains is a line here.
#pragma once

#include <foil/loss.h>

namespace foil {

struct TensorKind {
  enum class Per { view, full_view, queue, batch };
  // [B, D], [B, F], [K, D]; int64 [B] or [K].
  enum class Columns { z, features, label, index };

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

  bool is_float() const { return columns == Columns::z || columns == Columns::features; }
  bool per_sample() const { return per != Per::queue; }  // its rows are the samples of this rank
  std::string name_of(size_t i) const { return per == Per::batch ? name : name + ("." + std::to_string(i)); }
};

// In the order in which they are made: h, z, p, target, queue, queue_label, queue_index, label, index.
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

// The inverse: an input of these tensors and nothing else. Throws Error (Exit::usage) for a name that is none
// of a tensor and for one whose number leaves a gap.
LossInput named_input(const std::map<std::string, Tensor>& tensors);

// `input` with those of unit norm brought to it, unless `raw`, and the rest in fp32 or wider; ids as they
// are.
LossInput scaled(LossInput input, bool raw = false);
// Without what the loss does not ask for; the index is always there. Nothing is kept, reported or gathered.
LossInput selected(const Needs& needs, const LossInput& input);

// "2 views", "2 or more views", "2 to 4 views".
std::string views_text(const Needs& needs);
// All that a loss needs, as a person says it: "2 views, labels, a queue of 4096 rows with labels".
std::string needs_text(const Needs& needs);

}  // namespace foil
