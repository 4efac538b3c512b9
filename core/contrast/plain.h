// SPDX-License-Identifier: BSD-3-Clause
// contrast by LibTorch's own operators, for devices that have no tiles: rows are taken by the block, each
// block's matrix is forgotten after its results are known and made again in the backward pass.
#pragma once

#include <foil/contrast.h>

namespace foil::contrast {

// As reduce(), of pairs and channels that were checked; `name` is the function that was called.
std::vector<Tensor> reduce_plainly(const char* name, const Pairs& pairs,
                                   const std::vector<Channel>& channels);

}  // namespace foil::contrast
