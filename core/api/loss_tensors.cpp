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

// A part of LossInput::views.
template <class Part>
TensorKind of_data(TensorKind kind, Part) {
  kind.per = TensorKind::Per::whole_view;
  kind.at = [](LossInput& input, size_t i) -> Tensor& { return Part()(input.views.at(i)); };
  kind.count = [](const LossInput& input) { return input.views.size(); };
  kind.resize = [](LossInput& input, size_t n) {
    input.views.resize(n == 0 ? 0 : std::max(n, input.views.size()));
  };
  return kind;
}

// The weights, in the order of their names. Only named_input() adds one: a number has no name.
TensorKind of_weights(TensorKind kind) {
  kind.per = TensorKind::Per::weight;
  kind.at = [](LossInput& input, size_t i) -> Tensor& {
    return std::next(input.weights.begin(), static_cast<std::ptrdiff_t>(i))->second;
  };
  kind.count = [](const LossInput& input) { return input.weights.size(); };
  kind.resize = [](LossInput& input, size_t n) {
    if (n == 0) input.weights.clear();
  };
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

bool asks_for_views(const Needs& needs, size_t) { return needs.views; }

const std::vector<TensorKind> kKinds = {
    of_views<&LossInput::h>({"h", "features", "features before the head", "needs.features = true",
                             "features before the head", TensorKind::Per::view, TensorKind::Columns::features,
                             kGradient, !kUnit, [](const Needs& needs, size_t) { return needs.features; }}),
    of_views<&LossInput::decoded>({"decoded", "", "what the encoder's decoder gives", "needs.decoded = true",
                                   "an encoder with a decoder", TensorKind::Per::view,
                                   TensorKind::Columns::decoded, kGradient, !kUnit,
                                   [](const Needs& needs, size_t) { return needs.decoded; }}),
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
    of_data({"x", "", "the views as the encoders see them", "needs.views = true",
             "the views as the encoders see them", TensorKind::Per::whole_view, TensorKind::Columns::data,
             !kGradient, !kUnit, asks_for_views},
            [](View& view) -> Tensor& { return view.data; }),
    of_data({"edges", "", "the edges of each view", "needs.views = true", "", TensorKind::Per::whole_view,
             TensorKind::Columns::ends, !kGradient, !kUnit, asks_for_views},
            [](View& view) -> Tensor& { return view.edges.ends; }),
    of_data({"edge_weight", "", "the weight of each edge", "needs.views = true", "",
             TensorKind::Per::whole_view, TensorKind::Columns::values, !kGradient, !kUnit, asks_for_views},
            [](View& view) -> Tensor& { return view.edges.weight; }),
    of_data({"params", "", "what an augmentation hands on", "needs.views = true", "",
             TensorKind::Per::whole_view, TensorKind::Columns::values, !kGradient, !kUnit, asks_for_views},
            [](View& view) -> Tensor& { return view.params; }),
    of_weights({"weight", "", "parameters by name", "needs.weights", "", TensorKind::Per::weight,
                TensorKind::Columns::values, kGradient, !kUnit,
                [](const Needs& needs, size_t) { return !needs.weights.empty(); }}),
};

// "z.0", "label", "weight.NAME".
std::string example_of(const TensorKind& kind) {
  if (kind.per == TensorKind::Per::batch) return kind.name;
  return kind.name + std::string(kind.per == TensorKind::Per::weight ? ".NAME" : ".0");
}

// The kind of "z.1", "label" or "weight.encoder.conv1.weight".
const TensorKind& kind_named(const std::string& name) {
  const std::string stem = name.substr(0, name.find('.'));
  const bool named = stem.size() + 1 < name.size();
  const bool numbered = named && name.find_first_not_of("0123456789", stem.size() + 1) == std::string::npos;
  std::vector<std::string> known;
  for (const TensorKind& kind : kKinds) {
    const bool fits = kind.per == TensorKind::Per::batch    ? stem == name
                      : kind.per == TensorKind::Per::weight ? named
                                                            : numbered;
    if (stem == kind.name && fits) return kind;
    known.push_back(example_of(kind));
  }
  fail(Exit::usage, "the tensor '", name, "' is none of a loss's input.",
       known_names("tensors", name, known));
}

// What must be there of number i of a kind before there is one of number i + 1: "z.0". A label of the second
// queue needs none of the first.
std::string counted(const TensorKind& kind, size_t i) {
  const char* whole = kind.per == TensorKind::Per::queue        ? "queue"
                      : kind.per == TensorKind::Per::whole_view ? "x"
                                                                : kind.name;
  return whole + ("." + std::to_string(i));
}

}  // namespace

std::string TensorKind::name_of(const LossInput& input, size_t i) const {
  if (per == Per::batch) return name;
  if (per == Per::weight)
    return name + ("." + std::next(input.weights.begin(), static_cast<std::ptrdiff_t>(i))->first);
  return name + ("." + std::to_string(i));
}

const std::vector<TensorKind>& tensor_kinds() { return kKinds; }

std::vector<NamedTensor> tensors_of(LossInput& input) {
  std::vector<NamedTensor> all;
  for (const TensorKind& kind : kKinds) {
    for (size_t i = 0; i < kind.count(input); ++i) {
      Tensor& tensor = kind.at(input, i);
      if (tensor.defined()) all.push_back({kind.name_of(input, i), &kind, i, &tensor});
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
    if (kind.per == TensorKind::Per::weight) {
      input.weights[number] = tensor;
      continue;
    }
    size_t i = 0;
    while (i < tensors.size() && std::to_string(i) != number) ++i;
    for (size_t before = 0; before < i; ++before) {
      if (const std::string other = counted(kind, before); tensors.count(other) == 0)
        fail(Exit::usage, name, " is there, but ", other, " is missing.");
    }
    kind.resize(input, std::max(kind.count(input), i + 1));
    kind.at(input, i) = tensor;
  }
  for (View& view : input.views) {
    if (!view.edges.ends.defined()) continue;
    view.kind = Kind::graph;
    view.modality = name_of(view.kind);
  }
  return input;
}

LossInput scaled(LossInput input, bool raw) {
  for (const NamedTensor& one : tensors_of(input)) {
    if (one.tensor->is_floating_point())
      *one.tensor = one.kind->unit && !raw ? unit(*one.tensor) : at_least_fp32(*one.tensor);
  }
  return input;
}

LossInput selected(const Needs& needs, const LossInput& input) {
  LossInput seen = input.anew();
  seen.queue.resize(std::min(seen.queue.size(), needs.queues.size()));
  for (const TensorKind& kind : kKinds) {
    const bool always = kind.per == TensorKind::Per::batch && kind.columns == TensorKind::Columns::index;
    const bool in_queue = kind.per == TensorKind::Per::queue;
    if (!in_queue && !always && !kind.asked(needs, 0)) kind.resize(seen, 0);
    for (size_t q = 0; in_queue && q < seen.queue.size(); ++q)
      if (!kind.asked(needs, q)) kind.at(seen, q) = Tensor();
  }
  std::erase_if(seen.weights, [&](const auto& weight) {
    return std::find(needs.weights.begin(), needs.weights.end(), weight.first) == needs.weights.end();
  });
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
  if (needs.graph) text += ", all nodes of a graph in their order";
  for (size_t i = 0; i < needs.weights.size(); ++i)
    text += (i == 0 ? ", the weights " : i + 1 < needs.weights.size() ? ", " : " and ") + needs.weights[i];
  if (needs.raw_z) text += ", z without normalisation";
  for (const QueueNeed& queue : needs.queues)
    text += ", a queue of " + std::to_string(queue.length) + " rows" + (queue.label ? " with labels" : "") +
            (queue.index ? " with indices" : "");
  return text;
}

}  // namespace foil
