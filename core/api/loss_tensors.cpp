// SPDX-License-Identifier: BSD-3-Clause
// The list of a LossInput's tensors, and what follows from it.
#include "api/loss_tensors.h"

#include "api/wide.h"

#include <torch/types.h>

#include <algorithm>

namespace foil {
namespace {

// A kind that LossInput keeps as a list, one a view.
template <std::vector<Tensor> LossInput::*list>
TensorKind of_views(TensorKind kind) {
  kind.at = [](LossInput& input, size_t i) -> Tensor& { return (input.*list).at(i); };
  kind.count = [](const LossInput& input) { return (input.*list).size(); };
  kind.resize = [](LossInput& input, size_t n) { (input.*list).resize(n); };
  return kind;
}

// A part of the queues.
template <Tensor Queue::*part>
TensorKind of_queues(TensorKind kind) {
  kind.per = TensorKind::Per::queue;
  kind.at = [](LossInput& input, size_t i) -> Tensor& { return input.queue.at(i).*part; };
  kind.count = [](const LossInput& input) { return input.queue.size(); };
  kind.resize = [](LossInput& input, size_t n) { input.queue.resize(std::max(n, input.queue.size())); };
  return kind;
}

// One tensor.
template <Tensor LossInput::*tensor>
TensorKind of_batch(TensorKind kind) {
  kind.per = TensorKind::Per::batch;
  kind.at = [](LossInput& input, size_t) -> Tensor& { return input.*tensor; };
  kind.count = [](const LossInput&) -> size_t { return 1; };
  kind.resize = [](LossInput& input, size_t n) {
    if (n == 0) input.*tensor = Tensor();
  };
  return kind;
}

constexpr bool kGradient = true, kUnit = true;

const std::vector<TensorKind> kKinds = {
    of_views<&LossInput::h>({"h", "features", "features before the head", "needs.features = true",
                             "features before the head", TensorKind::Per::view, TensorKind::Columns::features,
                             kGradient, !kUnit, [](const Needs& needs, size_t) { return needs.features; }}),
    of_views<&LossInput::z>({"z", "projection", "projections", "", "", TensorKind::Per::view,
                             TensorKind::Columns::z, kGradient, kUnit,
                             [](const Needs&, size_t) { return true; }}),
    of_views<&LossInput::p>({"p", "prediction", "the predictor on each view", "needs.predictor = true",
                             "a predictor", TensorKind::Per::view, TensorKind::Columns::z, kGradient, kUnit,
                             [](const Needs& needs, size_t) { return needs.predictor; }}),
    of_views<&LossInput::target>({"target", "", "z of each view by the momentum encoder",
                                  "needs.target = true", "a momentum tower", TensorKind::Per::full_view,
                                  TensorKind::Columns::z, !kGradient, kUnit,
                                  [](const Needs& needs, size_t) { return needs.target; }}),
    of_queues<&Queue::data>({"queue", "", "earlier rows of z or target, as many as its options say",
                             "needs.queues", "", TensorKind::Per::queue, TensorKind::Columns::z, !kGradient,
                             kUnit, [](const Needs& needs, size_t i) { return i < needs.queues.size(); }}),
    of_queues<&Queue::label>(
        {"queue_label", "", "the label of each row", "label = true in needs.queues", "",
         TensorKind::Per::queue, TensorKind::Columns::label, !kGradient, !kUnit,
         [](const Needs& needs, size_t i) { return i < needs.queues.size() && needs.queues[i].label; }}),
    of_queues<&Queue::index>(
        {"queue_index", "", "the index of each row", "index = true in needs.queues", "",
         TensorKind::Per::queue, TensorKind::Columns::index, !kGradient, !kUnit,
         [](const Needs& needs, size_t i) { return i < needs.queues.size() && needs.queues[i].index; }}),
    of_batch<&LossInput::label>({"label", "", "labels", "needs.labels = true", "labels",
                                 TensorKind::Per::batch, TensorKind::Columns::label, !kGradient, !kUnit,
                                 [](const Needs& needs, size_t) { return needs.labels; }}),
    of_batch<&LossInput::index>({"index", "", "the index of each sample", "needs.index = true",
                                 "the index of each sample", TensorKind::Per::batch,
                                 TensorKind::Columns::index, !kGradient, !kUnit,
                                 [](const Needs& needs, size_t) { return needs.index; }}),
};

// The kind of "z.1" or "label".
const TensorKind& kind_named(const std::string& name) {
  const std::string stem = name.substr(0, name.find('.'));
  const bool numbered = stem.size() + 1 < name.size() &&
                        name.find_first_not_of("0123456789", stem.size() + 1) == std::string::npos;
  std::vector<std::string> known;
  for (const TensorKind& kind : kKinds) {
    if (stem == kind.name && (kind.per == TensorKind::Per::batch ? stem == name : numbered)) return kind;
    known.push_back(kind.per == TensorKind::Per::batch ? kind.name : kind.name + std::string(".0"));
  }
  fail(Exit::usage, "the tensor '", name, "' is none of a loss's input.",
       known_names("tensors", name, known));
}

}  // namespace

const std::vector<TensorKind>& tensor_kinds() { return kKinds; }

std::vector<NamedTensor> tensors_of(LossInput& input) {
  std::vector<NamedTensor> all;
  for (const TensorKind& kind : kKinds) {
    for (size_t i = 0; i < kind.count(input); ++i) {
      Tensor& tensor = kind.at(input, i);
      if (tensor.defined()) all.push_back({kind.name_of(i), &kind, i, &tensor});
    }
  }
  return all;
}

LossInput named_input(const std::map<std::string, Tensor>& tensors) {
  LossInput input;
  for (const auto& [name, tensor] : tensors) {
    const TensorKind& kind = kind_named(name);
    if (kind.per == TensorKind::Per::batch) {
      kind.at(input, 0) = tensor;
      continue;
    }
    const std::string number = name.substr(name.find('.') + 1);
    size_t i = 0;
    while (i < tensors.size() && std::to_string(i) != number) ++i;
    const std::string counted = kind.per == TensorKind::Per::queue ? "queue." : kind.name + std::string(".");
    for (size_t before = 0; before < i; ++before) {  // a label of the second queue needs none of the first
      if (const std::string other = counted + std::to_string(before); tensors.count(other) == 0)
        fail(Exit::usage, name, " is there, but ", other, " is missing.");
    }
    kind.resize(input, std::max(kind.count(input), i + 1));
    kind.at(input, i) = tensor;
  }
  return input;
}

LossInput scaled(LossInput input, bool raw) {
  for (const NamedTensor& one : tensors_of(input)) {
    if (one.kind->is_float())
      *one.tensor = one.kind->unit && !raw ? unit(*one.tensor) : at_least_fp32(*one.tensor);
  }
  return input;
}

LossInput selected(const Needs& needs, const LossInput& input) {
  LossInput seen = input.anew();
  seen.queue.resize(std::min(seen.queue.size(), needs.queues.size()));
  for (const TensorKind& kind : kKinds) {
    const bool always = kind.per == TensorKind::Per::batch && kind.columns == TensorKind::Columns::index;
    if (kind.per_sample() && !always && !kind.asked(needs, 0)) kind.resize(seen, 0);
    for (size_t q = 0; !kind.per_sample() && q < seen.queue.size(); ++q)
      if (!kind.asked(needs, q)) kind.at(seen, q) = Tensor();
  }
  return seen;
}

std::string views_text(const Needs& needs) {
  std::string text = std::to_string(needs.min_views);
  if (needs.max_views == any_number) text += " or more";
  if (needs.max_views > needs.min_views) text += " to " + std::to_string(needs.max_views);
  return text + (text == "1" ? " view" : " views");
}

std::string needs_text(const Needs& needs) {
  std::string text = views_text(needs);
  for (const TensorKind& kind : kKinds)
    if (kind.host[0] && kind.asked(needs, 0)) text += std::string(", ") + kind.host;
  if (needs.raw_z) text += ", z without normalisation";
  for (const QueueNeed& queue : needs.queues)
    text += ", a queue of " + std::to_string(queue.length) + " rows" + (queue.label ? " with labels" : "") +
            (queue.index ? " with indices" : "");
  return text;
}

}  // namespace foil
