// SPDX-License-Identifier: BSD-3-Clause
// The sampler "uniform": every epoch a new permutation of the data set, a pure function of (seed, epoch).
#pragma once

#include <foil/fields.h>
#include <foil/sampler.h>

namespace foil {

// A permutation of 0 .. n-1, equally likely each (Fisher-Yates with draws of `key`): int64 [n] on the CPU.
at::Tensor permutation(uint64_t key, int64_t n);

class Uniform : public Sampler {
 public:
  struct Options {
    void describe(Fields&) {}
  };
  explicit Uniform(const Options&) {}
  void setup(uint64_t seed, int64_t batch_size, int64_t dataset_size, const at::Tensor& labels) override;
  at::Tensor batch(int64_t step) override;
  int64_t steps_per_epoch() const override { return dataset_size_ / batch_size_; }

 private:
  uint64_t seed_ = 0;
  int64_t batch_size_ = 1;
  int64_t dataset_size_ = 0;
  int64_t epoch_ = -1;  // that of order_
  at::Tensor order_;
};

}  // namespace foil
