// SPDX-License-Identifier: BSD-3-Clause
// contrast by plain tensors with autograd, for devices that have no tiles yet: memory is that of the matrix.
#pragma once

#include <foil/contrast.h>

namespace foil::contrast {

// As reduce() and, with `positive` as mean_lse() or without as mean_sum(), the one channel given.
std::vector<Tensor> plain_reduce(const Pairs& pairs, const std::vector<Channel>& channels);
Tensor plain_average(const Pairs& pairs, const Tensor& positive, const Channel& channel);

}  // namespace foil::contrast
