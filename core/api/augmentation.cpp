// SPDX-License-Identifier: BSD-3-Clause
#include <foil/augmentation.h>

#include <torch/types.h>

namespace foil {

Tensor AugmentContext::uniform(const Tensor& ids) const {
  const Tensor id = ids.contiguous();
  Tensor draws = torch::empty({id.size(0)}, torch::kFloat);
  const uint64_t place = key();
  for (int64_t i = 0; i < id.size(0); ++i)
    draws.mutable_data_ptr<float>()[i] =
        Draws(place, static_cast<uint64_t>(id.const_data_ptr<int64_t>()[i])).uniform();
  return draws;
}

}  // namespace foil
