// SPDX-License-Identifier: BSD-3-Clause
// Synchronised batch norm: by the CPU's own passes where they take the input, else in tensor operations
// (LibTorch's kernels for it are CUDA's). One rank on CUDA runs LibTorch's.
#include "api/wide.h"
#include "ranks/batch_norm_cpu.h"

#include <foil/batch_norm.h>

#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

namespace foil {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

std::vector<int64_t> all_but_channels(const Tensor& x) {
  std::vector<int64_t> dims;
  for (int64_t d = 0; d < x.dim(); ++d) {
    if (d != 1) dims.push_back(d);
  }
  return dims;
}

// [C] to the shape that broadcasts over x: [1, C, 1, ...].
Tensor per_channel(const Tensor& v, const Tensor& x) {
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[1] = v.numel();
  return v.view(shape);
}

struct Moments {
  Tensor count, mean, m2;  // [], [C], [C]: m2 is the sum of squared distances from the mean
};

Moments local_moments(const Tensor& x) {
  const int64_t channels = x.size(1), n = x.numel() / std::max<int64_t>(channels, 1);
  if (batch_norm_cpu::takes(x)) {
    const Tensor all = batch_norm_cpu::moments(x);
    return {torch::full({}, static_cast<double>(n), all.options()), all.slice(0, 0, channels),
            all.slice(0, channels)};
  }
  const Tensor wide = at_least_fp32(x), count = torch::full({}, static_cast<double>(n), wide.options());
  if (n == 0)
    return {count, torch::zeros({channels}, wide.options()), torch::zeros({channels}, wide.options())};
  const std::vector<int64_t> dims = all_but_channels(x);
  const Tensor mean = wide.mean(dims);
  return {count, mean, (wide - per_channel(mean, x)).square_().sum(dims)};
}

// The moments of the global batch. Each rank fills its row of a table of zeros; the sum over ranks is then
// the table of all ranks, and every rank merges its rows in the same order (Chan, Golub and LeVeque, 1983).
// In fp64 on all: a rank without rows does not know the layout that the others have, and with it the passes
// they take.
Moments global_moments(const Tensor& x, Ranks* ranks) {
  Moments all = local_moments(x);
  if (!ranks) return all;
  const int64_t channels = x.size(1);
  const at::ScalarType type = all.mean.scalar_type();
  Tensor table = torch::zeros({ranks->world_size(), 1 + 2 * channels}, all.mean.options().dtype(at::kDouble));
  table[ranks->rank()].copy_(torch::cat({all.count.view({1}), all.mean, all.m2}));
  table = ranks->sum(table);
  const auto row_of = [&](int64_t r) {
    return Moments{table[r][0], table[r].slice(0, 1, 1 + channels), table[r].slice(0, 1 + channels)};
  };
  all = row_of(0);
  for (int64_t r = 1; r < ranks->world_size(); ++r) {
    const Moments row = row_of(r);
    const Tensor total = all.count + row.count, share = row.count / total.clamp_min(1),
                 delta = row.mean - all.mean;
    all.mean = all.mean + delta * share;
    all.m2 = all.m2 + row.m2 + delta.square() * (all.count * share);
    all.count = total;
  }
  return {all.count.to(type), all.mean.to(type), all.m2.to(type)};
}

// y = scale * x + shift with scale = weight / sqrt(var + eps) and shift = bias - mean * scale, or max(y, 0).
// The mean and the inverse of the deviation are functions of x on every rank, so the gradient of x takes sums
// over all ranks; those of weight and bias are this rank's part.
struct Normalise : torch::autograd::Function<Normalise> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const Moments& moments, const Tensor& inverse_std, Ranks* ranks, bool relu) {
    const Tensor scale = inverse_std * weight, shift = bias - moments.mean * scale;
    context->save_for_backward({x, weight, moments.mean, inverse_std, moments.count, scale, shift});
    context->saved_data["ranks"] = reinterpret_cast<int64_t>(ranks);
    context->saved_data["relu"] = relu;
    if (batch_norm_cpu::takes(x)) return batch_norm_cpu::affine(x, scale, shift, relu);
    Tensor y = at_least_fp32(x) * per_channel(scale, x) + per_channel(shift, x);
    return (relu ? y.relu_() : y).to(x.scalar_type());
  }

  static variable_list backward(AutogradContext* context, variable_list gradient) {
    if (at::GradMode::is_enabled())
      fail(Exit::failure, "BatchNorm: a second derivative is asked for, allowed: the first.");
    const variable_list saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], &mean = saved[2], &inverse_std = saved[3],
                 &count = saved[4], &scale = saved[5], &shift = saved[6];
    auto* ranks = reinterpret_cast<Ranks*>(context->saved_data["ranks"].toInt());
    const bool relu = context->saved_data["relu"].toBool(), fast = batch_norm_cpu::takes(x);
    Tensor g, centred, sums;  // sums [2, C]: of g, and of g * (x - mean)
    if (fast) {
      g = batch_norm_cpu::in_layout_of(gradient[0], x);
      sums = batch_norm_cpu::gradient_sums(g, x, mean, scale, shift, relu);
    } else {
      const Tensor wide = at_least_fp32(x);
      g = at_least_fp32(gradient[0]);
      centred = wide - per_channel(mean, x);
      if (relu) g = g.masked_fill(wide * per_channel(scale, x) + per_channel(shift, x) <= 0, 0);
      const std::vector<int64_t> dims = all_but_channels(x);
      sums = torch::stack({g.sum(dims), (g * centred).sum(dims)});
    }
    const Tensor means = (ranks ? ranks->sum(sums.to(at::kDouble)).to(sums.scalar_type()) : sums) / count;
    const Tensor a = means[0], b = means[1] * inverse_std.square();
    const Tensor dx =
        fast ? batch_norm_cpu::input_gradient(g, x, mean, scale, shift, a, b, relu)
             : ((g - per_channel(a, x)).sub_(centred * per_channel(b, x))).mul_(per_channel(scale, x));
    return {dx.to(x.scalar_type()),
            (sums[1] * inverse_std).to(weight.scalar_type()),
            sums[0].to(weight.scalar_type()),
            Tensor(),
            Tensor(),
            Tensor(),
            Tensor()};
  }
};

}  // namespace

BatchNorm::BatchNorm(int64_t channels, bool affine, double eps, double momentum)
    : eps_(eps), momentum_(momentum) {
  if (affine) {
    weight = register_parameter("weight", torch::ones({channels}));
    bias = register_parameter("bias", torch::zeros({channels}));
  }
  running_mean = register_buffer("running_mean", torch::zeros({channels}));
  running_var = register_buffer("running_var", torch::ones({channels}));
  num_batches_tracked = register_buffer("num_batches_tracked", torch::zeros({}, torch::kLong));
}

at::Tensor BatchNorm::normalised(const at::Tensor& x, bool relu) {
  if (x.dim() < 2 || x.size(1) != running_mean.numel()) {
    fail(Exit::failure, "BatchNorm: the input is ", x.sizes(), ", allowed: [B, ", running_mean.numel(),
         ", ...].");
  }
  const bool training = is_training();
  Ranks* const ranks = ranks_ && ranks_->world_size() > 1 ? ranks_.get() : nullptr;
  const int64_t n = x.numel() / x.size(1);  // values of this rank per channel
  const auto refuse = [&] {
    fail(Exit::failure,
         "BatchNorm: the global batch has one value a channel, allowed in training: at least two; the input "
         "is ",
         x.sizes(), ".");
  };
  if (training) num_batches_tracked.add_(1);
  if (training && !ranks && n == 1) refuse();
  if (!training || (!ranks && (n == 0 || !batch_norm_cpu::takes(x)))) {
    Tensor y =
        torch::batch_norm(x, weight, bias, running_mean, running_var, training, momentum_, eps_, false);
    return relu ? y.relu_() : y;
  }
  Moments moments;
  Tensor inverse_std;
  {
    torch::NoGradGuard no_grad;
    moments = global_moments(x, ranks);
    const double global = n > 1 ? 2 : moments.count.item<double>();  // its exact value matters below two only
    if (global == 1) refuse();
    inverse_std = (moments.m2 / moments.count.clamp_min(1) + eps_).rsqrt();
    if (global > 0) {
      running_mean.lerp_(moments.mean.to(running_mean.scalar_type()), momentum_);
      running_var.lerp_((moments.m2 / (moments.count - 1)).to(running_var.scalar_type()), momentum_);
    }
  }
  const Tensor scale = weight.defined() ? weight : torch::ones_like(running_var),
               shift = bias.defined() ? bias : torch::zeros_like(running_mean);
  return Normalise::apply(x, scale, shift, moments, inverse_std, ranks, relu);
}

}  // namespace foil
