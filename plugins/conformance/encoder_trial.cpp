// SPDX-License-Identifier: BSD-3-Clause
// An encoder built as an experiment builds it, its views, and one step of gradient descent.
#include "encoder_trial.h"

#include "graphs.h"
#include "model/tower.h"
#include "model/weights.h"
#include "ranks/world.h"

#include <foil/random.h>

#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

namespace foil::conformance {
namespace {

constexpr double kLearningRate = 0.05;

}  // namespace

EncoderTrial::EncoderTrial(const Component& encoder, const OptionSet& set, const DataShape& data,
                           at::ScalarType type, at::Device device)
    : encoder_(make<Encoder>(encoder, set)), data_(data), type_(type), device_(device) {
  torch::manual_seed(17);
  encoder_->setup(encoder_sizes(data.shape));
  move_to(*encoder_, device, type);
}

View EncoderTrial::view(int64_t step) const {
  View view = samples_of(data_, static_cast<uint64_t>(100 + step));
  view.data = view.data.is_floating_point() ? view.data.to(device_, type_) : view.data.to(device_);
  if (view.edges.ends.defined()) view.edges.ends = view.edges.ends.to(device_);
  view.key = torch::empty({kSamples}, torch::kLong);
  for (int64_t b = 0; b < kSamples; ++b)
    view.key[b] =
        static_cast<int64_t>(mix_key(mix_key(29, static_cast<uint64_t>(step)), static_cast<uint64_t>(b)));
  return view;
}

Tensors EncoderTrial::step(const View& view, int64_t before, int64_t count,
                           const std::shared_ptr<Ranks>& ranks) {
  const std::shared_ptr<Ranks> all = ranks ? ranks : World::single();
  share_ranks(*encoder_, of_graphs() ? nullptr : ranks);
  encoder_->train();
  const Tensor h = of_graphs() ? features(view).slice(0, before, before + count)
                               : features(count == view.size() ? view : rows(view, before, count));
  // A mean over the seven samples of all ranks: the average over ranks of what each gets is that of one rank.
  const Tensor weight =
      random_numbers({kSamples, h.size(1)}, 3).to(h.options()).slice(0, before, before + h.size(0));
  const Tensor value =
      (h * weight + 0.5 * h.square()).sum() * (static_cast<double>(all->world_size()) / kSamples);
  std::vector<Tensor> parameters;
  std::vector<std::string> names;
  for (const auto& item : encoder_->named_parameters()) {
    if (!item.value().requires_grad()) continue;
    names.push_back(item.key());
    parameters.push_back(item.value());
  }
  std::vector<Tensor> gradients(parameters.size());
  if (value.requires_grad() && !parameters.empty())
    gradients = torch::autograd::grad({value}, parameters, {}, {}, {}, /*allow_unused=*/true);
  Tensors result{{"the features", h.detach()}};
  torch::NoGradGuard no_grad;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Tensor own = gradients[i].defined() ? gradients[i].detach() : torch::zeros_like(parameters[i]);
    const Tensor mean = all->sum(own) / static_cast<double>(all->world_size());
    result["the gradient of " + names[i]] = mean;
    parameters[i].sub_(kLearningRate * mean / mean.abs().max().clamp_min(1));  // no entry moves further
  }
  return result;
}

Tensors EncoderTrial::state() const {
  Tensors copies;
  for (const auto& [name, tensor] : named_tensors(*encoder_)) copies[name] = tensor.detach().clone();
  return copies;
}

void EncoderTrial::load(const Tensors& state) {
  copy_exactly(state, named_tensors(*encoder_), "conformance");
}

View samples_of(const DataShape& data, uint64_t seed) {
  const Shape& shape = data.shape;
  if (shape.kind == Kind::graph) {
    const View view = graph_of(kSamples, seed);
    return data.sparse ? in_csr(view) : view;
  }
  std::vector<int64_t> sizes = shape.sizes;
  sizes.insert(sizes.begin(), kSamples);
  View view;
  view.modality = name_of(shape.kind);
  view.kind = shape.kind;
  view.data = random_numbers(sizes, seed);
  if (shape.kind != Kind::text) return view;
  // Tokens in [0, range): one text is empty, one as long as can be, zeros behind the others.
  const int64_t length = shape.sizes.at(0);
  view.data = (view.data.sigmoid() * static_cast<double>(shape.range)).floor().to(at::kLong);
  view.length = (torch::arange(kSamples, at::kLong) * length).floor_divide(kSamples - 1);
  view.data.masked_fill_(torch::arange(length) >= view.length.unsqueeze(1), 0);
  return view;
}

View rows(const View& view, const Tensor& positions) {
  if (view.kind == Kind::graph) return subgraph(view, positions);
  View part = view;
  part.data = view.data.index_select(0, positions);
  if (view.key.defined()) part.key = view.key.index_select(0, positions);
  if (view.length.defined()) part.length = view.length.index_select(0, positions);
  return part;
}

View rows(const View& view, int64_t begin, int64_t count) {
  return rows(view, torch::arange(begin, begin + count));
}

View without_key(View view) {
  view.key.reset();
  return view;
}

std::vector<DataShape> accepted_shapes(const Component& encoder, const OptionSet& set,
                                       std::vector<std::string>& refused) {
  const std::vector<DataShape> small = {{"images [3, 18, 13]", {Kind::image, {3, 18, 13}}},
                                        {"images [1, 28, 28]", {Kind::image, {1, 28, 28}}},
                                        {"vectors [12]", {Kind::vector, {12}}},
                                        {"tokens [9] of 50", {Kind::text, {9}, 50}},
                                        {"waves [600]", {Kind::audio, {600}, 8000}},
                                        {"graphs [8]", {Kind::graph, {kNodeFeatures}}},
                                        {"graphs [8] in CSR", {Kind::graph, {kNodeFeatures}}, true}};
  const std::vector<DataShape> usual = {{"images [3, 32, 32]", {Kind::image, {3, 32, 32}}},
                                        {"images [3, 64, 64]", {Kind::image, {3, 64, 64}}},
                                        {"images [3, 224, 224]", {Kind::image, {3, 224, 224}}}};
  std::vector<DataShape> accepted;
  const auto try_one = [&](const DataShape& data) {
    const auto said = refusal([&] {
      EncoderTrial trial(encoder, set, data);
      torch::NoGradGuard no_grad;
      trial.encoder().eval();
      trial.features(without_key(trial.of_graphs() ? trial.view(0) : rows(trial.view(0), 0, 2)));
    });
    if (!said) return accepted.push_back(data), true;
    refused.push_back(data.text + ": " + said->text + (said->is_error ? "" : " (not a foil::Error)"));
    return false;
  };
  for (const DataShape& data : small) try_one(data);
  for (const DataShape& data : usual) {
    if (!accepted.empty()) break;
    try_one(data);
  }
  return accepted;
}

}  // namespace foil::conformance
