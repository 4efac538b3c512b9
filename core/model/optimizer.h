// SPDX-License-Identifier: BSD-3-Clause
// Optimizers: SGD, Adam and AdamW on LibTorch's fused kernels, and LARS. The learning rate comes with each
// step: there is no schedule here. A parameter without a gradient is skipped, and its state does not move.
#pragma once

#include <foil/fields.h>

#include <torch/nn/module.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace foil {

struct OptimizerOptions {
  enum class Kind { sgd, adam, adamw, lars };
  Kind name = Kind::sgd;
  double learning_rate = 1e-3;
  double momentum = 0.9;
  double weight_decay = 0;
  bool nesterov = false;
  std::vector<double> betas = {0.9, 0.999};
  double epsilon = 1e-8;
  double trust_coefficient = 1e-3;
  double clip_norm = 0;
  bool adapt_norms_and_biases = false;
  bool decay_norms_and_biases = true;
  void describe(Fields& f);
  // Throws Error (Exit::usage) for options that do not fit together.
  void check() const;
  // The options that this optimizer has no use for, each with the names of those that have.
  std::vector<std::pair<std::string, std::vector<std::string>>> unused() const;
};

// Parameters that share a factor on the learning rate.
struct ParameterGroup {
  std::vector<std::pair<std::string, at::Tensor>> parameters;
  double learning_rate_factor = 1;
};

// The parameters of a module that want a gradient, their names led by `prefix`.
ParameterGroup parameter_group(const torch::nn::Module& module, const std::string& prefix,
                               double learning_rate_factor);

// One step with gradient g, weight decay d, learning rate r (times the group's factor). Norms and biases are
// the parameters of at most one dimension. A scalar, a learned temperature or bias, never decays: 0 is no
// neutral value of it.
//   sgd    as torch.optim.SGD with dampening 0:
//          v = momentum v + (g + d w);  w -= r v, with nesterov r (g + d w + momentum v)
//   adam   as torch.optim.Adam: Kingma and Ba, 2015, algorithm 1, with g + d w for g
//   adamw  as torch.optim.AdamW: Loshchilov and Hutter, 2019, algorithm 2: w -= r d w beside Adam's step on g
//   lars   You, Gitman and Ginsburg, "Large batch training of convolutional networks", 2017, equation 6 and
//          algorithm 1:
//          a = trust ||w|| / (||g|| + d ||w||);  v = momentum v + r a (g + d w)
//          w -= v, with nesterov r a (g + d w) + momentum v
//          a = 1 where ||w|| or its divisor is 0. Norms and biases have a = 1, d = 0 unless
//          adapt_norms_and_biases. The learning rate is inside v, as in SimCLR's code (which divides by
//          ||g + d w||); lightly's keeps it outside.
class Optimizer {
 public:
  // The parameters' dtype, device and memory layout are final. Their names must be unique: they key the
  // state.
  Optimizer(OptimizerOptions options, std::vector<ParameterGroup> groups);

  void step(double learning_rate);
  void zero_grad();
  // The 2-norm of all gradients together; gradients are scaled by min(1, clip_norm / (norm + 1e-6)), unless
  // clip_norm is 0.
  double clip();

  // The whole state under PARAMETER.momentum_buffer, or PARAMETER.exp_avg, .exp_avg_sq, .step: the tensors
  // themselves, not copies.
  std::map<std::string, at::Tensor> state() const;
  // The inverse. Throws Error (Exit::data) with every difference in names, shapes and dtypes, and then
  // changes nothing.
  void load_state(const std::map<std::string, at::Tensor>& state);

 private:
  struct Slot {
    std::string name;
    at::Tensor parameter;
    at::Tensor momentum_buffer;            // sgd, lars
    at::Tensor exp_avg, exp_avg_sq, step;  // adam, adamw; step is float32, as the fused kernels have it
  };
  // What one fused call can take: equal factor, weight decay, adaptation and dtype.
  struct Bucket {
    double learning_rate_factor, weight_decay;
    bool adapted;
    at::ScalarType dtype;
    std::vector<Slot> slots;
  };
  void add(const std::string& name, const at::Tensor& parameter, double learning_rate_factor);
  void step_sgd(const Bucket& bucket, double learning_rate) const;
  void step_adam(const Bucket& bucket, double learning_rate) const;
  void step_lars(const Bucket& bucket, double learning_rate) const;

  OptimizerOptions options_;
  std::vector<Bucket> buckets_;
};

}  // namespace foil
