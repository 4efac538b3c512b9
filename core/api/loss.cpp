// SPDX-License-Identifier: BSD-3-Clause
// What the host does for a loss: gathers, means, draws.
#include "api/loss_tensors.h"
#include "api/no_autocast.h"
#include "api/wide.h"

#include <foil/loss.h>

#include <torch/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include <limits>

namespace foil {

Tensor LossInput::gather(const Tensor& local) const {
  const void* key = local.unsafeGetTensorImpl();
  if (auto hit = notes_->cache.find(key); hit != notes_->cache.end()) return hit->second;
  Tensor all = ranks->gather(local);
  notes_->cache.emplace(key, all);
  if (all.requires_grad()) notes_->gathered.push_back(all);
  notes_->alive.push_back(local);
  return all;
}

Tensor LossInput::everyone() const {
  std::vector<Tensor> views;
  for (const Tensor& view : z) views.push_back(gather(view));
  return torch::cat(views);
}

const std::vector<int64_t>& LossInput::counts() const {
  if (notes_->counts.empty())
    notes_->counts = ranks->counts(index.defined() ? index.size(0) : z.at(0).size(0));
  return notes_->counts;
}

int64_t LossInput::offset() const {
  const std::vector<int64_t>& all = counts();
  int64_t before = 0;
  for (int64_t r = 0; r < ranks->rank(); ++r) before += all[static_cast<size_t>(r)];
  return before;
}

int64_t LossInput::global_batch() const {
  int64_t n = 0;
  for (int64_t c : counts()) n += c;
  return n;
}

Tensor LossInput::other_samples(int64_t views) const {
  const Tensor sample =
      torch::arange(global_batch(), torch::device(z.empty() ? index.device() : z[0].device()));  // [N]
  const Tensor own =
      sample.slice(0, offset(), offset() + counts()[static_cast<size_t>(ranks->rank())]);  // [B]
  return own.unsqueeze(1) != sample.repeat({views});
}

Tensor LossInput::mean(const Tensor& x) const { return mean(x, torch::ones_like(x, torch::kBool)); }

Tensor LossInput::mean(const Tensor& x, const Tensor& valid) const {
  const Tensor count = ranks->sum(valid.sum().to(torch::kDouble));
  const Tensor total = torch::where(valid, x, torch::zeros_like(x)).sum();
  return total * (static_cast<double>(ranks->world_size()) / count.clamp_min(1.0)).to(x.scalar_type());
}

Tensor LossInput::sum_ranks(const Tensor& x) const {
  Tensor all = ranks->sum(x);
  if (all.requires_grad()) notes_->gathered.push_back(all);
  return all;
}

Tensor LossInput::share(const Tensor& replicated) const {
  const int64_t n = replicated.size(0), w = ranks->world_size(), r = ranks->rank();
  return replicated.slice(0, n * r / w, n * (r + 1) / w);
}

Tensor LossInput::uniform(std::string_view name, int64_t columns) const {
  if (const auto preset = notes_->presets.find(std::string(name)); preset != notes_->presets.end())
    return preset->second;
  const uint64_t key = mix_key(mix_key(mix_key(seed, static_cast<uint64_t>(step)), slot), name_key(name));
  const Tensor ids = index.to(torch::kCPU, torch::kLong).contiguous();
  Tensor out = torch::empty({ids.size(0), columns}, torch::kFloat);
  float* row = out.mutable_data_ptr<float>();
  for (int64_t b = 0; b < ids.size(0); ++b) {
    Draws draws(key, static_cast<uint64_t>(ids.const_data_ptr<int64_t>()[b]));
    for (int64_t c = 0; c < columns; ++c) *row++ = draws.uniform();
  }
  return out.to(index.device());
}

Draws LossInput::shared(std::string_view name) const {
  return Draws(mix_key(mix_key(mix_key(seed, static_cast<uint64_t>(step)), slot), name_key(name)),
               ~uint64_t{0});
}

Tensor LossInput::weight(const std::string& name) const {
  if (const auto found = weights.find(name); found != weights.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [key, value] : weights) known.push_back(key);
  fail(Exit::failure, "weight('", name, "'): needs().weights does not ask for it.",
       known_names("weights", name, known));
}

void LossInput::hold(const Tensor& local, const Tensor& whole) const {
  notes_->cache.insert_or_assign(local.unsafeGetTensorImpl(), whole);
  notes_->alive.push_back(local);
}

void LossInput::keep(const std::string& name, const Tensor& value) const {
  notes_->kept[name] = value.detach();
}

Tensor LossInput::kept(const std::string& name) const {
  auto it = notes_->kept.find(name);
  if (it != notes_->kept.end()) return it->second;
  std::vector<std::string> known;
  for (const auto& [key, value] : notes_->kept) known.push_back(key);
  fail(Exit::failure, "kept('", name, "'): forward kept no such tensor.", known_names("names", name, known));
}

void LossInput::report(const std::string& name, const Tensor& value) const {
  notes_->reports[name] = value.detach();
}

LossInput LossInput::anew() const {
  LossInput copy = *this;
  copy.notes_ = std::make_shared<Notes>();
  return copy;
}

Tensor LossInput::join(const Tensor& value) const {
  Tensor joined = value;
  // The sum of no entries: value 0, gradient 0, and still a node of the graph. The embeddings too: behind
  // them are collectives of the encoder (synchronised batch norm).
  const auto add = [&](const std::vector<Tensor>& tensors) {
    for (const Tensor& t : tensors) {
      if (t.requires_grad()) joined = joined + t.flatten().slice(0, 0, 0).sum().to(value.scalar_type());
    }
  };
  add(notes_->gathered);
  add(z);
  add(p);
  return joined;
}

namespace {

// A value with the graph of a loss behind it, and the leaves of that graph.
struct Graph {
  Tensor value;
  std::vector<Tensor> leaves;
};

// The value of a graph whose backward pass, too, has autocast off: it runs where the caller calls it, maybe
// inside autocast, which would cast its products. `inputs`: what the caller differentiates by, one for each
// leaf.
class WithoutAutocast : public torch::autograd::Function<WithoutAutocast> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Graph& graph,
                        at::TensorList /*inputs*/) {
    context->saved_data["value"] = graph.value;
    context->saved_data["leaves"] = graph.leaves;
    return graph.value.detach();
  }
  static std::vector<Tensor> backward(torch::autograd::AutogradContext* context,
                                      const std::vector<Tensor>& gradient) {
    const NoAutocast guard;
    if (at::GradMode::is_enabled())
      fail(Exit::failure, "a loss that was taken inside autocast has no second derivative.");
    std::vector<Tensor> gradients = torch::autograd::grad(
        {context->saved_data["value"].toTensor()}, context->saved_data["leaves"].toTensorVector(), gradient,
        /*retain_graph=*/true, /*create_graph=*/false, /*allow_unused=*/true);
    gradients.insert(gradients.begin(), Tensor());  // of `graph`
    return gradients;
  }
};

// Where LibTorch refuses to compute with two types, the loss has not been moved to that of its input.
[[noreturn]] void explain_types(const Loss& loss, const LossInput& input) {
  for (const auto& parameter : loss.named_parameters()) {
    const Tensor& mine = parameter.value();
    if (!input.z.empty() && mine.options().type_equal(input.z[0].options())) continue;
    const auto type = [](const Tensor& x) {
      return std::string(c10::toString(x.scalar_type())) + " on " + x.device().str();
    };
    fail(Exit::usage, "the parameter '", parameter.key(), "' of the loss is ", type(mine), " but z.0 is ",
         input.z.empty() ? "missing" : type(input.z[0]), ". Move the loss first: to(device, type).");
  }
  throw;
}

Tensor explained_forward(Loss& loss, const LossInput& input) {
  try {
    return loss.forward(input);
  } catch (const c10::Error&) {
    explain_types(loss, input);
  }
}

}  // namespace

Tensor Loss::operator()(const LossInput& input) {
  const NoAutocast guard;
  if (!guard.was_on() || !at::GradMode::is_enabled()) return explained_forward(*this, input);
  LossInput inner = input;  // with leaves of its own
  Graph graph;
  std::vector<Tensor> inputs;
  for (const NamedTensor& one : tensors_of(inner)) {
    if (!one.kind->differentiable || !one.tensor->requires_grad()) continue;
    inputs.push_back(*one.tensor);
    graph.leaves.push_back(*one.tensor = one.tensor->detach().requires_grad_());
  }
  for (const Tensor& parameter : parameters()) {
    if (!parameter.requires_grad()) continue;
    inputs.push_back(parameter);
    graph.leaves.push_back(parameter);
  }
  graph.value = explained_forward(*this, inner);
  return graph.value.requires_grad() ? WithoutAutocast::apply(graph, at::TensorList(inputs)) : graph.value;
}

Tensor unit(const Tensor& x) {
  const Tensor wide = at_least_fp32(x);
  return wide / wide.norm(2, -1, /*keepdim=*/true).clamp_min(1e-12);
}

Tensor same_class(const Tensor& rows, const Tensor& columns) {
  return (rows.unsqueeze(1) == columns).logical_and_((columns != -1).unsqueeze(0));
}

Tensor masked_logsumexp(const Tensor& s, const Tensor& allowed) {
  const double lowest = -std::numeric_limits<double>::infinity();
  const Tensor masked = s.masked_fill(allowed.logical_not(), lowest);
  const Tensor top = std::get<0>(masked.detach().max(1, /*keepdim=*/true));
  const Tensor shift = torch::where(top == lowest, torch::zeros_like(top), top);
  const Tensor sum = (masked - shift).exp().sum(1);
  const Tensor empty = sum == 0;
  return (sum.masked_fill(empty, 1).log() + shift.squeeze(1)).masked_fill(empty, lowest);
}

Tensor softplus(const Tensor& x) { return torch::logaddexp(x, torch::zeros_like(x)); }

void scatter_rows(Tensor buffer, const Tensor& index, const Tensor& values, Duplicates rule) {
  torch::NoGradGuard no_grad;
  const Tensor rows = index.to(torch::kCPU, torch::kLong).contiguous();
  const int64_t n = rows.size(0);
  const int64_t* id = rows.const_data_ptr<int64_t>();
  // The position that speaks for each row: its last occurrence; with mean, the sum of the occurrences in
  // global order.
  std::map<int64_t, std::vector<int64_t>> places;
  for (int64_t i = 0; i < n; ++i) places[id[i]].push_back(i);
  for (const auto& [row, at] : places) {
    if (rule == Duplicates::last || at.size() == 1) {
      buffer[row].copy_(values[at.back()]);
    } else {
      buffer[row].copy_(values.index_select(0, torch::tensor(at, torch::kLong).to(values.device())).mean(0));
    }
  }
}

}  // namespace foil
