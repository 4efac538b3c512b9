// SPDX-License-Identifier: BSD-3-Clause
// The host of a loss in miniature: what the training loop gives it and does with what it returns, on a tiny
// data set that every rank can make by itself.
#pragma once

#include "findings.h"
#include "option_sets.h"

#include <foil/loss.h>

namespace foil::conformance {

// One step's tensors as the heads give them, in double: a global batch of samples of a data set of
// kDatasetSize, each once; or rows of one. Of the rest only `step` is set.
using Batch = LossInput;

constexpr int64_t kBatch = 7, kDatasetSize = 13, kWidth = 5, kFeatures = 6, kClasses = 4;

// What a loss gets under the name of each input, "z.0" -> [N, D]: those that have a gradient.
Tensors inputs_of(const Batch& batch);
// The samples of `batch` at these positions, in this order.
Batch rows(const Batch& batch, const Tensor& positions);
Batch rows(const Batch& batch, int64_t begin, int64_t count);
// The same batch with each z, h, p and target made anew from its own.
Batch changed(const Batch& batch, const std::function<Tensor(const Tensor&)>& change);

// What a step gives.
struct Outcome {
  Tensor value;
  Tensors gradients;  // "z.0", "h.1", "p.0" and "parameter NAME", the last averaged over ranks
  Tensors reports;
};

// A loss as an experiment builds it, and its steps. Trials of one option set begin equal. With bf16 the heads
// give bf16 and, as in training, the loss sees fp32.
class Trial {
 public:
  Trial(const Component& loss, const OptionSet& set, at::ScalarType type = at::kDouble,
        at::Device device = at::kCPU);

  const Needs& needs() const { return needs_; }
  Loss& loss() { return *loss_; }
  // The batch of a step: other samples, partly the same as the step before.
  Batch batch(int64_t step) const;

  // The input for a batch; every tensor of inputs_of() is a leaf behind the normalisation, and is added to
  // `leaves`.
  LossInput input(const Batch& batch, const std::shared_ptr<Ranks>& ranks, Tensors* leaves = nullptr) const;
  // Forward and backward; nothing moves.
  Outcome evaluate(const Batch& batch, const std::shared_ptr<Ranks>& ranks);
  Outcome evaluate(const Batch& batch);
  // Forward, backward, a step of gradient descent of the loss's own parameters, after_step.
  Outcome step(const Batch& batch, const std::shared_ptr<Ranks>& ranks);
  Outcome step(const Batch& batch);
  // From now on z, h and p are seen as fp32 would round them, by chance: what no formula can avoid.
  void round_inputs(uint64_t seed) { rounding_ = seed; }
  // The value alone, with its graph.
  Tensor value(const Batch& batch) const;

  Tensors state() const;            // copies of parameters and buffers
  void load(const Tensors& state);  // as a checkpoint does

 private:
  at::ScalarType wide() const { return type_ == at::kBFloat16 ? at::kFloat : type_; }
  Outcome differentiate(const LossInput& input, Tensors leaves);

  std::shared_ptr<Loss> loss_;
  Needs needs_;
  Sizes sizes_;
  at::ScalarType type_;
  at::Device device_;
  uint64_t rounding_ = 0;  // 0: none
};

}  // namespace foil::conformance
