// SPDX-License-Identifier: BSD-3-Clause
// Batches of a small data set, and a loss's input, value, gradients and state on them.
#include "host.h"

#include "api/loss_tensors.h"
#include "graphs.h"
#include "model/weights.h"
#include "ranks/world.h"
#include "trials.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/autograd.h>
#include <torch/utils.h>

#include <algorithm>

namespace foil::conformance {
namespace {

constexpr double kLearningRate = 0.05, kRounding = 6e-8;

Tensor random(at::IntArrayRef shape, at::Generator& generator) {
  return torch::randn(shape, generator, torch::kDouble);
}

// As in training: nothing has entered at first, then a part, then all; the samples of this step may be among
// them.
Queue queue_of(const QueueNeed& need, bool raw, int64_t step, const Tensor& label_of, int64_t dataset_size,
               at::Generator& generator) {
  Queue queue;
  queue.view = need.view;
  const int64_t filled[] = {0, std::min(kBatch, need.length), need.length};
  queue.filled = filled[std::min<int64_t>(step, 2)];
  const Tensor data = random({need.length, kWidth}, generator);
  queue.data = raw ? data : unit(data);
  const Tensor entered = torch::arange(need.length) < queue.filled;
  const Tensor index =
      torch::where(entered, torch::remainder(torch::arange(need.length) * 5 + step, dataset_size), -1);
  if (need.index) queue.index = index;
  if (need.label) queue.label = torch::where(entered, label_of.index_select(0, index.clamp_min(0)), -1);
  return queue;
}

bool labels_in_a_queue(const Needs& needs) {
  return std::any_of(needs.queues.begin(), needs.queues.end(),
                     [](const QueueNeed& queue) { return queue.label; });
}

// Every tensor of `batch` that is_chosen, made anew from its own.
Batch with(const Batch& batch, const std::function<bool(const TensorKind&)>& is_chosen,
           const std::function<Tensor(const Tensor&)>& change) {
  Batch result = batch.anew();
  for (const NamedTensor& one : tensors_of(result))
    if (is_chosen(*one.kind)) *one.tensor = change(*one.tensor);
  return result;
}

// View `v` of a step of a graph: at first x is dense and no edge has a weight, as read; then x is in CSR
// layout and the second view has weights.
View view_of(int64_t nodes, int64_t step, int64_t v) {
  View view = graph_of(nodes, static_cast<uint64_t>(3 * step + v + 1));
  view.key = torch::arange(nodes) + 100 * step;
  const Tensor drawn =
      random_numbers({nodes, 2}, static_cast<uint64_t>(70 + 3 * step + v)).to(at::kFloat).to(at::kDouble);
  view.params = torch::stack({(drawn.select(1, 0) < 0.5).to(at::kDouble), drawn.select(1, 1)}, 1);
  if (step % 2 == 0) return view;
  if (v == 1)
    view.edges.weight = 0.5 + random_numbers({view.edges.ends.size(1)}, 9).to(at::kFloat).to(at::kDouble);
  return in_csr(view);
}

// Each rank has the whole: it sees its rows, and the others without a collective.
LossInput held(const LossInput& whole, const Share& share) {
  LossInput mine = whole.anew();
  for (const NamedTensor& one : tensors_of(mine)) {
    if (!one.kind->per_sample()) continue;
    const Tensor all = *one.tensor;
    *one.tensor = all.slice(0, share.begin, share.begin + share.count);
    if (one.kind->is_float()) mine.hold(*one.tensor, all);
  }
  return mine;
}

}  // namespace

bool is_of_samples(const std::string& gradient) {
  return !gradient.starts_with("parameter ") && !gradient.starts_with("weight.");
}

Tensors inputs_of(const Batch& batch) {
  Batch all = batch;
  Tensors inputs;
  for (const NamedTensor& one : tensors_of(all))
    if (one.kind->differentiable) inputs[one.name] = *one.tensor;
  return inputs;
}

Batch changed(const Batch& batch, const std::function<Tensor(const Tensor&)>& change) {
  return with(
      batch, [](const TensorKind& kind) { return kind.per_sample() && kind.is_float(); }, change);
}

Batch rows(const Batch& batch, const Tensor& positions) {
  return with(
      batch, [](const TensorKind& kind) { return kind.per_sample(); },
      [&](const Tensor& t) { return t.index_select(0, positions); });
}

Batch rows(const Batch& batch, int64_t begin, int64_t count) {
  return rows(batch, torch::arange(begin, begin + count));
}

Batch alone(const Needs& needs, const Batch& batch, const Tensor& positions) {
  Batch some = rows(batch, positions);
  if (!needs.graph) return some;
  for (View& view : some.views) view = subgraph(view, positions);
  some.index = torch::arange(positions.size(0));
  return some;
}

Trial::Trial(const Component& loss, const OptionSet& set, at::ScalarType type, at::Device device)
    : loss_(make<Loss>(loss, set)), needs_(loss_->needs()), type_(type), device_(device) {
  const int64_t views =
      std::max(needs_.min_views, needs_.max_views == 0 ? 3 : std::min<int64_t>(needs_.max_views, 3));
  sizes_ = {.z_dim = kWidth,
            .feature_dim = kFeatures,
            .dataset_size = needs_.graph ? kBatch : kDatasetSize,
            .classes = needs_.labels || labels_in_a_queue(needs_) ? kClasses : 0,
            .views = views,
            .full_views = std::min<int64_t>(views, 2),
            .batch_size = kBatch};
  torch::manual_seed(17);
  loss_->setup(sizes_);
  move_to(*loss_, device, wide());
}

Batch Trial::batch(int64_t step) const {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(static_cast<uint64_t>(100 + step));
  Batch batch;
  batch.step = step;
  // Seven of thirteen samples; the step of 4 leaves three of them in the next batch.
  batch.index = needs_.graph ? torch::arange(kBatch)
                             : torch::remainder((torch::arange(kBatch) + 4 * step) * 5, kDatasetSize);
  // One class has one sample only.
  const Tensor label_of = torch::where(torch::arange(kDatasetSize) == 5, kClasses - 1,
                                       torch::arange(kDatasetSize) % (kClasses - 1));
  if (needs_.labels) batch.label = label_of.index_select(0, batch.index);
  const Tensor centre = random({kBatch, kWidth}, generator);  // views of a sample are alike
  for (int64_t v = 0; v < sizes_.views; ++v) {
    batch.z.push_back(centre + 0.6 * random({kBatch, kWidth}, generator));
    if (needs_.features) batch.h.push_back(random({kBatch, kFeatures}, generator));
  }
  for (int64_t v = 0; needs_.predictor && v < sizes_.views; ++v)
    batch.p.push_back(centre + 0.6 * random({kBatch, kWidth}, generator));
  for (int64_t v = 0; needs_.target && v < sizes_.full_views; ++v)
    batch.target.push_back(centre + 0.6 * random({kBatch, kWidth}, generator));
  for (const QueueNeed& need : needs_.queues)
    batch.queue.push_back(queue_of(need, needs_.raw_z, step, label_of, sizes_.dataset_size, generator));
  for (int64_t v = 0; needs_.views && v < sizes_.views; ++v)
    batch.views.push_back(view_of(sizes_.dataset_size, step, v));
  for (int64_t v = 0; needs_.decoded && v < sizes_.views; ++v)
    batch.decoded.push_back(random({kBatch, kNodeFeatures}, generator));
  batch.weights = weights_of(needs_.weights, needs_.features ? kFeatures : kWidth,
                             static_cast<uint64_t>(300 + 20 * step));
  return batch;
}

LossInput Trial::input(const Batch& batch, const std::shared_ptr<Ranks>& ranks, Tensors* leaves,
                       const std::optional<Share>& share) const {
  Batch made = batch.anew();
  for (const NamedTensor& one : tensors_of(made)) {
    const TensorKind& kind = *one.kind;
    Tensor& x = *one.tensor;
    const bool from_heads = kind.per_sample() && kind.is_float();
    x = x.to(device_, from_heads ? type_ : x.is_floating_point() ? wide() : x.scalar_type());
    if (kind.differentiable) x = x.clone().requires_grad_();
  }
  if (leaves) leaves->merge(inputs_of(made));
  LossInput input = scaled(made, needs_.raw_z);
  if (rounding_ != 0) {
    auto generator = at::make_generator<at::CPUGeneratorImpl>(rounding_);
    const auto rounded = [&](const Tensor& t) {
      return t * (1 + kRounding * torch::randn(t.sizes(), generator, torch::kDouble));
    };
    input = with(
        changed(input, rounded), [](const TensorKind& kind) { return kind.per == TensorKind::Per::weight; },
        rounded);
  }
  if (share) input = held(input, *share);
  input.epoch = batch.step / 2;
  input.seed = seed_;
  input.slot = 1;
  input.sizes = sizes_;
  input.ranks = ranks;
  return input;
}

Outcome Trial::differentiate(const LossInput& input, Tensors leaves, bool whole) {
  for (const auto& item : loss_->named_parameters()) {
    if (item.value().requires_grad()) leaves["parameter " + item.key()] = item.value();
  }
  const Tensor value = input.join((*loss_)(input));
  if (value.dim() != 0)
    fail(Exit::failure, "forward returns a tensor of ", value.dim(), " dimensions, allowed: a scalar.");
  std::vector<Tensor> tensors;
  for (const auto& [name, leaf] : leaves) tensors.push_back(leaf);
  std::vector<Tensor> gradients(tensors.size());
  if (value.requires_grad())
    gradients = torch::autograd::grad({value}, tensors, {}, {}, {}, /*allow_unused=*/true);
  Outcome outcome{value.detach(), {}, input.reports()};
  size_t i = 0;
  for (const auto& [name, leaf] : leaves) {
    const Tensor& got = gradients[i++];
    Tensor gradient = got.defined() ? got.detach() : torch::zeros_like(leaf);
    if (whole || !is_of_samples(name))
      gradient = input.ranks->sum(gradient) / static_cast<double>(input.ranks->world_size());
    outcome.gradients[name] = gradient;
  }
  return outcome;
}

Outcome Trial::evaluate(const Batch& batch, const std::shared_ptr<Ranks>& ranks) {
  Tensors leaves;
  const LossInput seen = input(batch, ranks, &leaves);
  return differentiate(seen, std::move(leaves), /*whole=*/false);
}

Outcome Trial::step(const Batch& batch, const std::shared_ptr<Ranks>& ranks,
                    const std::optional<Share>& share) {
  Tensors leaves;
  const LossInput seen = input(batch, ranks, &leaves, share);
  Outcome outcome = differentiate(seen, std::move(leaves), share.has_value());
  torch::NoGradGuard no_grad;
  for (const auto& item : loss_->named_parameters()) {
    const auto gradient = outcome.gradients.find("parameter " + item.key());
    if (gradient == outcome.gradients.end()) continue;
    item.value().sub_(kLearningRate * gradient->second /
                      gradient->second.abs().max().clamp_min(1));  // no entry moves further
  }
  loss_->after_step(seen);
  return outcome;
}

Outcome Trial::evaluate(const Batch& batch) { return evaluate(batch, World::single()); }
Outcome Trial::step(const Batch& batch) { return step(batch, World::single()); }

Tensor Trial::value(const Batch& batch) const { return (*loss_)(input(batch, World::single())); }

Tensors Trial::state() const {
  Tensors copies;
  for (const auto& [name, tensor] : named_tensors(*loss_)) copies[name] = tensor.detach().clone();
  return copies;
}

void Trial::load(const Tensors& state) { copy_exactly(state, named_tensors(*loss_), "conformance"); }

}  // namespace foil::conformance
