// SPDX-License-Identifier: BSD-3-Clause
// One permutation an epoch; that of the current epoch is kept.
#include "data/uniform.h"

#include <foil/random.h>

#include <torch/types.h>

#include <utility>

namespace foil {

at::Tensor permutation(uint64_t key, int64_t n) {
  at::Tensor order = torch::arange(n, torch::kLong);
  int64_t* at = order.mutable_data_ptr<int64_t>();
  Draws draws(key, 0);
  for (int64_t i = n - 1; i > 0; --i) std::swap(at[i], at[draws.below(i + 1)]);
  return order;
}

void Uniform::setup(uint64_t seed, int64_t batch_size, int64_t dataset_size, const at::Tensor&) {
  if (batch_size < 1 || batch_size > dataset_size) {
    refuse("data.batch_size", batch_size,
           "1 to " + std::to_string(dataset_size) + ", the size of the training set");
  }
  seed_ = seed;
  batch_size_ = batch_size;
  dataset_size_ = dataset_size;
  epoch_ = -1;
}

at::Tensor Uniform::batch(int64_t step) {
  const int64_t epoch = step / steps_per_epoch(), at = step % steps_per_epoch();
  if (epoch != epoch_) {
    order_ = permutation(mix_key(mix_key(seed_, name_key("uniform")), static_cast<uint64_t>(epoch)),
                         dataset_size_);
    epoch_ = epoch;
  }
  return order_.narrow(0, at * batch_size_, batch_size_).clone();
}

}  // namespace foil
