// SPDX-License-Identifier: BSD-3-Clause
// BatchNorm over the channels of [B, C], [B, C, L] or [B, C, H, W], synchronised over ranks: the statistics
// are those of the global batch, so the world size does not change the experiment. Ioffe and Szegedy, 2015,
// Algorithm 1 and 2.
#pragma once

#include <foil/ranks.h>

#include <torch/nn/module.h>

#include <memory>

namespace foil {

// Parameter and buffer names are PyTorch's: weight, bias, running_mean, running_var, num_batches_tracked.
class FOIL_API BatchNorm : public torch::nn::Module {
 public:
  // `channels`: C. `affine`: with weight and bias, else these stay undefined. `eps` is added to the variance;
  // `momentum` is the share of the new statistics in the running ones.
  explicit BatchNorm(int64_t channels, bool affine = true, double eps = 1e-5, double momentum = 0.1);
  // Training: normalises by the mean and biased variance of the global batch; the running variance takes the
  // unbiased one. Evaluation: by the running statistics. Local statistics are taken in fp32 or wider. Every
  // rank must call it, also with B = 0. The result has the shape and the type of x. Throws Error
  // (Exit::failure) for another number of channels, and in training for a global batch with a single value a
  // channel.
  at::Tensor forward(const at::Tensor& x) { return normalised(x, false); }
  // max(forward(x), 0); on the CPU in the same passes over memory.
  at::Tensor forward_relu(const at::Tensor& x) { return normalised(x, true); }
  // Set by the host once when there are several ranks; null = this rank alone.
  void set_ranks(std::shared_ptr<Ranks> ranks) { ranks_ = std::move(ranks); }

  at::Tensor weight, bias, running_mean, running_var;  // [C]
  at::Tensor num_batches_tracked;                      // int64 []: calls in training

 private:
  at::Tensor normalised(const at::Tensor& x, bool relu);

  double eps_, momentum_;
  std::shared_ptr<Ranks> ranks_;
};

}  // namespace foil
