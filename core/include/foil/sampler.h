// SPDX-License-Identifier: BSD-3-Clause
// Sampler: which samples make the global batch of a step: a pure function of (seed, step), so that resume,
// ranks and workers agree.
#pragma once

#include <foil/error.h>

#include <torch/types.h>

namespace foil {

// Every rank has one and asks it for the same steps in any order: the answer must not depend on what was
// asked before.
class FOIL_API Sampler {
 public:
  virtual ~Sampler() = default;
  // Called once. `labels`: int64 [dataset_size] on the CPU, or undefined. Throws Error (Exit::usage) when it
  // cannot make such batches.
  virtual void setup(uint64_t seed, int64_t batch_size, int64_t dataset_size, const at::Tensor& labels) = 0;
  // The global batch of `step` (counted from 0 over the whole run): int64 [batch_size] on the CPU. Rank r
  // takes a contiguous block.
  virtual at::Tensor batch(int64_t step) = 0;
  // Steps in one pass over the data; the last incomplete batch of a pass is dropped.
  virtual int64_t steps_per_epoch() const = 0;
};

}  // namespace foil
