// SPDX-License-Identifier: BSD-3-Clause
// The sampler "all": every step is all samples in their order, as a loss on a whole graph takes its nodes.
#pragma once

#include <foil/fields.h>
#include <foil/sampler.h>

namespace foil {

class All : public Sampler {
 public:
  struct Options {
    void describe(Fields&) {}
  };
  explicit All(const Options&) {}
  // What data.batch_size = 0 asks for is batch_size = dataset_size here.
  void setup(uint64_t, int64_t batch_size, int64_t dataset_size, const at::Tensor&) override {
    if (batch_size != dataset_size)
      refuse("data.batch_size", batch_size, "0 with the sampler 'all': a step is all samples in their order");
    size_ = dataset_size;
  }
  at::Tensor batch(int64_t) override { return torch::arange(size_, torch::kLong); }
  int64_t steps_per_epoch() const override { return 1; }

 private:
  int64_t size_ = 0;
};

}  // namespace foil
