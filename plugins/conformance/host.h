// SPDX-License-Identifier: BSD-3-Clause
// The host of a loss in miniature: what the training loop gives it and does with what it returns, on a tiny
// data set that every rank can make by itself.
#pragma once

#include "findings.h"
#include "option_sets.h"

#include <foil/loss.h>

#include <optional>

namespace foil::conformance {

// One step's tensors as the heads give them, in double: a global batch of samples of a data set of
// kDatasetSize, each once; or rows of one. Of the rest only `step` is set. Where a loss asks for
// Needs::graph, the batch is all nodes of a graph; where it asks for views, they are of the graph of the
// whole data set.
using Batch = LossInput;

constexpr int64_t kBatch = 7, kDatasetSize = 13, kWidth = 5, kFeatures = 6, kClasses = 4;

// What a loss gets under the name of each input, "z.0" -> [N, D]: those that have a gradient.
Tensors inputs_of(const Batch& batch);
// The samples of `batch` at these positions, in this order; views and weights as they are.
Batch rows(const Batch& batch, const Tensor& positions);
Batch rows(const Batch& batch, int64_t begin, int64_t count);
// A batch of these samples alone, in this order: with Needs::graph the step of their subgraph, whose nodes
// are numbered in this order.
Batch alone(const Needs& needs, const Batch& batch, const Tensor& positions);
// Whether a gradient of this name, "z.0", has a row for each sample, unlike "weight.NAME" and "parameter
// NAME".
bool is_of_samples(const std::string& gradient);
// The same batch with each z, h, p and target made anew from its own.
Batch changed(const Batch& batch, const std::function<Tensor(const Tensor&)>& change);

// What a step gives.
struct Outcome {
  Tensor value;
  Tensors gradients;  // "z.0", "h.1", "p.0"; "weight.NAME", "parameter NAME": averaged over ranks
  Tensors reports;
};

// A rank's rows of a batch that every rank has whole.
struct Share {
  int64_t begin, count;
};

// A loss as an experiment builds it, and its steps. Trials of one option set begin equal. With bf16 the heads
// give bf16 and, as in training, the loss sees fp32.
class Trial {
 public:
  Trial(const Component& loss, const OptionSet& set, at::ScalarType type = at::kDouble,
        at::Device device = at::kCPU);

  const Needs& needs() const { return needs_; }
  Loss& loss() { return *loss_; }
  int64_t dataset_size() const { return sizes_.dataset_size; }
  // Whether every rank has all rows of every batch, as of a graph: it then sees its share of them, and the
  // rest without a collective.
  bool on_every_rank() const { return needs_.views || needs_.graph; }
  // The batch of a step: other samples, partly the same as the step before.
  Batch batch(int64_t step) const;

  // The input for a batch; every tensor of inputs_of() is a leaf behind the normalisation, and is added to
  // `leaves`. With `share` the batch is whole.
  LossInput input(const Batch& batch, const std::shared_ptr<Ranks>& ranks, Tensors* leaves = nullptr,
                  const std::optional<Share>& share = std::nullopt) const;
  // Forward and backward; nothing moves.
  Outcome evaluate(const Batch& batch, const std::shared_ptr<Ranks>& ranks);
  Outcome evaluate(const Batch& batch);
  // Forward, backward, a step of gradient descent of the loss's own parameters, after_step. With `share` all
  // gradients are those of the whole, averaged over ranks.
  Outcome step(const Batch& batch, const std::shared_ptr<Ranks>& ranks,
               const std::optional<Share>& share = std::nullopt);
  Outcome step(const Batch& batch);
  // From now on z, h and p are seen as fp32 would round them, by chance: what no formula can avoid.
  void round_inputs(uint64_t seed) { rounding_ = seed; }
  // From now on the seed of the run, which keys the draws.
  void draw_by(uint64_t seed) { seed_ = seed; }
  // The value alone, with its graph.
  Tensor value(const Batch& batch) const;

  Tensors state() const;            // copies of parameters and buffers
  void load(const Tensors& state);  // as a checkpoint does

 private:
  at::ScalarType wide() const { return type_ == at::kBFloat16 ? at::kFloat : type_; }
  Outcome differentiate(const LossInput& input, Tensors leaves, bool whole);

  std::shared_ptr<Loss> loss_;
  Needs needs_;
  Sizes sizes_;
  at::ScalarType type_;
  at::Device device_;
  uint64_t rounding_ = 0;  // 0: none
  uint64_t seed_ = 5;
};

}  // namespace foil::conformance
