// SPDX-License-Identifier: BSD-3-Clause
// Ranks: the other processes of this run, as a loss sees them. One rank and many run the same code.
#pragma once

#include <foil/error.h>
#include <torch/types.h>

#include <vector>

namespace foil {

// Collectives with gradient. Every rank must call them in the same order; shards may be uneven or empty. With one rank each is the
// identity.
class FOIL_API Ranks {
 public:
  virtual ~Ranks() = default;
  virtual int64_t rank() const = 0;
  virtual int64_t world_size() const = 0;
  // [n_r, ...] of every rank, concatenated in rank order: [sum n_r, ...]. Backward sum-reduces over ranks and keeps the own rows.
  virtual at::Tensor gather(const at::Tensor& local) = 0;
  // Differentiable all-reduce (sum): every rank gets the sum; backward sums the incoming gradients over ranks.
  virtual at::Tensor sum(const at::Tensor& local) = 0;
  // How many rows each rank passes: all-gather of one integer.
  virtual std::vector<int64_t> counts(int64_t local) = 0;
};

}  // namespace foil
