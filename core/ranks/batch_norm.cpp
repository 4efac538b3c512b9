// SPDX-License-Identifier: BSD-3-Clause
#include <foil/batch_norm.h>

#include <torch/torch.h>

namespace foil {

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
  if (is_training()) num_batches_tracked.add_(1);
  return torch::batch_norm(x, weight, bias, running_mean, running_var, is_training(), momentum_, eps_, false);
}

}  // namespace foil
