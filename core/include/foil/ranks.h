// SPDX-License-Identifier: BSD-3-Clause
// Ranks: the other processes of this run, as a loss sees them. One rank and many run the same code.
#pragma once

#include <foil/error.h>

#include <torch/types.h>

#include <vector>

namespace foil {

// Collectives with gradient. Every rank must call them in the same order; shards may be uneven or empty. With
// one rank each is the identity. One that fails, or waits longer than the run's timeout, throws Error
// (Exit::failure) naming the rank that is gone or late. Losses rarely need them: LossInput's everyone,
// gather, mean and sum_ranks stand on them.
class FOIL_API Ranks {
 public:
  virtual ~Ranks() = default;
  virtual int64_t rank() const = 0;        // 0 ... W-1
  virtual int64_t world_size() const = 0;  // W
  // [n_r, ...] of every rank, concatenated in rank order: [sum n_r, ...]. Backward sum-reduces over ranks and
  // keeps the own rows. Any type; all but the first size must agree, else Error (Exit::failure) with the
  // sizes in bytes. Not for scalars.
  virtual at::Tensor gather(const at::Tensor& local) = 0;
  // Differentiable all-reduce (sum): every rank gets the sum; backward sums the incoming gradients over
  // ranks. The shape must be the same on all; half precision is added in fp32, bools are counted.
  virtual at::Tensor sum(const at::Tensor& local) = 0;
  // `local` of every rank, in rank order: [W]. How many rows each passes, for instance.
  virtual std::vector<int64_t> counts(int64_t local) = 0;
};

}  // namespace foil
