// SPDX-License-Identifier: BSD-3-Clause
// Parameters sorted into buckets that one fused or foreach call steps, and the state of each by name.
#include "model/optimizer.h"

#include "config/dump.h"
#include "model/weights.h"

#include <torch/types.h>

#include <algorithm>
#include <set>

namespace foil {
namespace {

using Kind = OptimizerOptions::Kind;

const std::initializer_list<std::pair<const char*, Kind>> kNames = {
    {"sgd", Kind::sgd}, {"adam", Kind::adam}, {"adamw", Kind::adamw}, {"lars", Kind::lars}};

using FusedAdam = void (*)(at::TensorList, at::TensorList, at::TensorList, at::TensorList, at::TensorList,
                           at::TensorList, double, double, double, double, double, bool, bool,
                           const std::optional<at::Tensor>&, const std::optional<at::Tensor>&);

// The gradient in the memory layout of its parameter: the fused kernels walk both as flat arrays.
at::Tensor flat_gradient(const at::Tensor& parameter) {
  const at::Tensor& grad = parameter.grad();
  if (grad.strides() == parameter.strides()) return grad;
  return torch::empty_like(parameter, c10::MemoryFormat::Preserve).copy_(grad);
}

}  // namespace

void OptimizerOptions::describe(Fields& f) {
  f.choice("name", name, kNames, "which optimizer");
  f.number("learning_rate", learning_rate, "the learning rate after warm-up", above(0));
  f.number("momentum", momentum, "sgd, lars: decay of the running sum of gradients", from_below(0, 1));
  f.number("weight_decay", weight_decay,
           "times the weights: added to the gradient, or (adamw) taken off at the learning rate",
           at_least(0));
  f.flag("nesterov", nesterov, "sgd, lars: Nesterov's momentum");
  f.numbers("betas", betas, "adam, adamw: decay of the running means of the gradient and of its square",
            from_below(0, 1));
  f.number("epsilon", epsilon, "adam, adamw: added to the root of the mean square", above(0));
  f.number("trust_coefficient", trust_coefficient, "lars: times ||w|| / (||g|| + weight_decay ||w||)",
           above(0));
  f.number("clip_norm", clip_norm, "gradients together are scaled down to this 2-norm; 0 = off", at_least(0));
  f.flag("adapt_norms_and_biases", adapt_norms_and_biases,
         "lars: adaptation and weight decay on norms and biases too");
  f.flag("decay_norms_and_biases", decay_norms_and_biases,
         "sgd, adam, adamw: weight decay on norms and biases too; a scalar never decays");
}

void OptimizerOptions::check() const {
  if (betas.size() != 2) refuse("optimizer.betas", to_toml(list_node(betas)), "a list of 2 numbers");
}

std::vector<std::pair<std::string, std::vector<std::string>>> OptimizerOptions::unused() const {
  std::string mine;
  for (const auto& [text, kind] : kNames)
    if (kind == name) mine = text;
  std::vector<std::pair<std::string, std::vector<std::string>>> of_some{
      {"momentum", {"sgd", "lars"}},
      {"nesterov", {"sgd", "lars"}},
      {"betas", {"adam", "adamw"}},
      {"epsilon", {"adam", "adamw"}},
      {"trust_coefficient", {"lars"}},
      {"adapt_norms_and_biases", {"lars"}},
      {"decay_norms_and_biases", {"sgd", "adam", "adamw"}}};
  std::erase_if(of_some, [&](const auto& option) {
    return std::find(option.second.begin(), option.second.end(), mine) != option.second.end();
  });
  return of_some;
}

ParameterGroup parameter_group(const torch::nn::Module& module, const std::string& prefix,
                               double learning_rate_factor) {
  ParameterGroup group{{}, learning_rate_factor};
  for (const auto& item : module.named_parameters()) {
    if (item.value().requires_grad()) group.parameters.emplace_back(prefix + item.key(), item.value());
  }
  return group;
}

Optimizer::Optimizer(OptimizerOptions options, std::vector<ParameterGroup> groups)
    : options_(std::move(options)) {
  options_.check();
  std::set<std::string> names;
  for (const ParameterGroup& group : groups) {
    for (const auto& [name, parameter] : group.parameters) {
      if (!names.insert(name).second) fail(Exit::failure, "optimizer: two parameters are called ", name, ".");
      add(name, parameter, group.learning_rate_factor);
    }
  }
}

void Optimizer::add(const std::string& name, const at::Tensor& parameter, double learning_rate_factor) {
  const bool lars = options_.name == Kind::lars;
  const bool norm_or_bias = parameter.dim() <= 1, scalar = parameter.dim() == 0;
  const bool adapted = lars && (!norm_or_bias || options_.adapt_norms_and_biases);
  const bool decayed = !scalar && (lars ? adapted : (!norm_or_bias || options_.decay_norms_and_biases));
  const Bucket like{
      learning_rate_factor, decayed ? options_.weight_decay : 0, adapted, parameter.scalar_type(), {}};
  auto bucket = std::find_if(buckets_.begin(), buckets_.end(), [&](const Bucket& b) {
    return b.learning_rate_factor == like.learning_rate_factor && b.weight_decay == like.weight_decay &&
           b.adapted == like.adapted && b.dtype == like.dtype;
  });
  if (bucket == buckets_.end()) bucket = buckets_.insert(buckets_.end(), like);

  torch::NoGradGuard no_grad;
  Slot slot{name, parameter, {}, {}, {}, {}};
  if (options_.name == Kind::adam || options_.name == Kind::adamw) {
    slot.exp_avg = torch::zeros_like(parameter);
    slot.exp_avg_sq = torch::zeros_like(parameter);
    slot.step = torch::zeros({}, parameter.options().dtype(torch::kFloat).requires_grad(false));
  } else {
    slot.momentum_buffer =
        torch::zeros_like(parameter);  // momentum * 0 + g = g: the first step needs no case of its own
  }
  bucket->slots.push_back(std::move(slot));
}

void Optimizer::step(double learning_rate) {
  torch::NoGradGuard no_grad;
  for (const Bucket& bucket : buckets_) {
    const double rate = learning_rate * bucket.learning_rate_factor;
    if (options_.name == Kind::sgd) {
      step_sgd(bucket, rate);
    } else if (options_.name == Kind::lars) {
      step_lars(bucket, rate);
    } else {
      step_adam(bucket, rate);
    }
  }
}

void Optimizer::step_sgd(const Bucket& bucket, double learning_rate) const {
  std::vector<at::Tensor> weights, grads, momenta;
  for (const Slot& slot : bucket.slots) {
    if (!slot.parameter.grad().defined()) continue;
    weights.push_back(slot.parameter);
    grads.push_back(flat_gradient(slot.parameter));
    if (options_.momentum > 0) momenta.push_back(slot.momentum_buffer);
  }
  if (weights.empty()) return;
  at::_fused_sgd_(weights, grads, momenta, bucket.weight_decay, options_.momentum, learning_rate,
                  /*dampening=*/0, options_.nesterov && options_.momentum > 0, /*maximize=*/false,
                  /*is_first_step=*/false);
}

void Optimizer::step_adam(const Bucket& bucket, double learning_rate) const {
  std::vector<at::Tensor> weights, grads, means, squares, steps;
  for (const Slot& slot : bucket.slots) {
    if (!slot.parameter.grad().defined()) continue;
    weights.push_back(slot.parameter);
    grads.push_back(flat_gradient(slot.parameter));
    means.push_back(slot.exp_avg);
    squares.push_back(slot.exp_avg_sq);
    steps.push_back(slot.step);
  }
  if (weights.empty()) return;
  at::_foreach_add_(steps, 1);
  const FusedAdam fused =
      options_.name == Kind::adamw ? FusedAdam{at::_fused_adamw_} : FusedAdam{at::_fused_adam_};
  fused(weights, grads, means, squares, /*max_exp_avg_sqs=*/{}, steps, learning_rate, options_.betas[0],
        options_.betas[1], bucket.weight_decay, options_.epsilon, /*amsgrad=*/false, /*maximize=*/false,
        /*grad_scale=*/{}, /*found_inf=*/{});
}

void Optimizer::step_lars(const Bucket& bucket, double learning_rate) const {
  for (const Slot& slot : bucket.slots) {
    const at::Tensor w = slot.parameter;
    if (!w.grad().defined()) continue;
    at::Tensor update = w.grad().add(w, bucket.weight_decay).mul_(learning_rate);
    if (bucket.adapted) {
      const at::Tensor norm = w.norm();
      const at::Tensor divisor = w.grad().norm() + bucket.weight_decay * norm;
      update.mul_(torch::where((norm > 0) & (divisor > 0), options_.trust_coefficient * norm / divisor,
                               torch::ones_like(norm)));
    }
    slot.momentum_buffer.mul_(options_.momentum).add_(update);
    w.sub_(options_.nesterov ? update.add_(slot.momentum_buffer, options_.momentum) : slot.momentum_buffer);
  }
}

void Optimizer::zero_grad() {
  for (Bucket& bucket : buckets_) {
    for (Slot& slot : bucket.slots) slot.parameter.mutable_grad().reset();
  }
}

double Optimizer::clip() {
  torch::NoGradGuard no_grad;
  std::vector<at::Tensor> grads;
  for (const Bucket& bucket : buckets_) {
    for (const Slot& slot : bucket.slots) {
      if (slot.parameter.grad().defined()) grads.push_back(slot.parameter.grad());
    }
  }
  if (grads.empty()) return 0;
  std::vector<at::Tensor> norms = at::_foreach_norm(grads);
  for (at::Tensor& norm : norms) norm = norm.to(torch::kDouble);
  const double norm = torch::stack(norms).norm().item<double>();
  const double scale = options_.clip_norm / (norm + 1e-6);
  if (options_.clip_norm > 0 && scale < 1) at::_foreach_mul_(grads, scale);
  return norm;
}

std::map<std::string, at::Tensor> Optimizer::state() const {
  std::map<std::string, at::Tensor> all;
  for (const Bucket& bucket : buckets_) {
    for (const Slot& slot : bucket.slots) {
      if (slot.momentum_buffer.defined()) all[slot.name + ".momentum_buffer"] = slot.momentum_buffer;
      if (!slot.step.defined()) continue;
      all[slot.name + ".exp_avg"] = slot.exp_avg;
      all[slot.name + ".exp_avg_sq"] = slot.exp_avg_sq;
      all[slot.name + ".step"] = slot.step;
    }
  }
  return all;
}

void Optimizer::load_state(const std::map<std::string, at::Tensor>& state) {
  copy_exactly(state, this->state(), "optimizer state");
}

}  // namespace foil
