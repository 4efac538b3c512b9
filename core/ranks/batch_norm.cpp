// SPDX-License-Identifier: BSD-3-Clause
// Synchronised batch norm in tensor operations, so that CPU and CUDA run the same function (LibTorch's kernels for it are CUDA's).
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

Tensor widened(const Tensor& x) { return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat); }

struct Moments {
  Tensor count, mean, m2;  // [], [C], [C]: m2 is the sum of squared distances from the mean
};

// The moments of the global batch. Each rank fills its row of a table of zeros; the sum over ranks is then the table of all ranks,
// and every rank merges its rows in the same order (Chan, Golub and LeVeque, 1983).
Moments global_moments(const Tensor& x, Ranks& ranks) {
  const int64_t channels = x.size(1), n = x.numel() / std::max<int64_t>(channels, 1);
  Tensor table = torch::zeros({ranks.world_size(), 1 + 2 * channels}, x.options());
  if (n > 0) {
    const std::vector<int64_t> dims = all_but_channels(x);
    const Tensor mean = x.mean(dims), m2 = (x - per_channel(mean, x)).square_().sum(dims);
    table[ranks.rank()].copy_(torch::cat({torch::full({1}, static_cast<double>(n), x.options()), mean, m2}));
  }
  table = ranks.sum(table);
  Moments all{table[0][0], table[0].slice(0, 1, 1 + channels), table[0].slice(0, 1 + channels)};
  for (int64_t r = 1; r < ranks.world_size(); ++r) {
    const Tensor row = table[r], count = row[0], total = all.count + count;
    const Tensor share = count / total.clamp_min(1), delta = row.slice(0, 1, 1 + channels) - all.mean;
    all.mean = all.mean + delta * share;
    all.m2 = all.m2 + row.slice(0, 1 + channels) + delta.square() * (all.count * share);
    all.count = total;
  }
  return all;
}

// y = weight * (x - mean) / sqrt(var + eps) + bias. `mean` and `inverse_std` are functions of x on every rank, so the gradient of x
// takes sums over all ranks; those of weight and bias are this rank's part.
struct Normalise : torch::autograd::Function<Normalise> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight, const Tensor& bias, const Moments& moments,
                        const Tensor& inverse_std, Ranks* ranks) {
    context->save_for_backward({x, weight, moments.mean, inverse_std, moments.count});
    context->saved_data["ranks"] = reinterpret_cast<int64_t>(ranks);
    const Tensor centred = widened(x) - per_channel(moments.mean, x);
    return centred.mul_(per_channel(inverse_std * weight, x)).add_(per_channel(bias, x)).to(x.scalar_type());
  }

  static variable_list backward(AutogradContext* context, variable_list gradient) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], &mean = saved[2], &inverse_std = saved[3], &count = saved[4];
    Ranks& ranks = *reinterpret_cast<Ranks*>(context->saved_data["ranks"].toInt());
    const Tensor dy = widened(gradient[0]), normal = (widened(x) - per_channel(mean, x)) * per_channel(inverse_std, x);
    const std::vector<int64_t> dims = all_but_channels(x);
    const Tensor sum_dy = dy.sum(dims), sum_dy_normal = (dy * normal).sum(dims);
    const Tensor means = ranks.sum(torch::stack({sum_dy, sum_dy_normal})) / count;
    const Tensor centred = (dy - per_channel(means[0], x)).sub_(normal * per_channel(means[1], x));
    const Tensor dx = centred * per_channel(inverse_std * weight, x);
    return {dx.to(x.scalar_type()),
            sum_dy_normal.to(weight.scalar_type()),
            sum_dy.to(weight.scalar_type()),
            Tensor(),
            Tensor(),
            Tensor()};
  }
};

}  // namespace

BatchNorm::BatchNorm(int64_t channels, bool affine, double eps, double momentum) : eps_(eps), momentum_(momentum) {
  if (affine) {
    weight = register_parameter("weight", torch::ones({channels}));
    bias = register_parameter("bias", torch::zeros({channels}));
  }
  running_mean = register_buffer("running_mean", torch::zeros({channels}));
  running_var = register_buffer("running_var", torch::ones({channels}));
  num_batches_tracked = register_buffer("num_batches_tracked", torch::zeros({}, torch::kLong));
}

at::Tensor BatchNorm::forward(const at::Tensor& x) {
  if (x.dim() < 2 || x.size(1) != running_mean.numel()) {
    fail(Exit::failure, "BatchNorm: the input is ", x.sizes(), ", allowed: [B, ", running_mean.numel(), ", ...].");
  }
  const bool training = is_training(), many = ranks_ && ranks_->world_size() > 1;
  const int64_t n = x.numel() / x.size(1);  // of this rank, a channel
  const auto refuse = [&] {
    fail(Exit::failure, "BatchNorm: the global batch has one value a channel, allowed in training: at least two; the input is ",
         x.sizes(), ".");
  };
  if (training) num_batches_tracked.add_(1);
  if (!training || !many) {
    if (training && n == 1) refuse();
    return torch::batch_norm(x, weight, bias, running_mean, running_var, training, momentum_, eps_, false);
  }
  Moments moments;
  Tensor inverse_std;
  {
    torch::NoGradGuard no_grad;
    moments = global_moments(widened(x), *ranks_);
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
  return Normalise::apply(x, scale, shift, moments, inverse_std, ranks_.get());
}

}  // namespace foil
