// SPDX-License-Identifier: BSD-3-Clause
// Assignments of samples to prototypes over all ranks.
#pragma once

#include <foil/ranks.h>

namespace foil {

// Balanced soft assignments by Sinkhorn and Knopp's iteration (Cuturi, 2013; Caron et al., "SwAV", 2020, equation 4): exp(scores /
// epsilon), divided in turn by the sum of each prototype over the samples of all ranks and by the sum of each sample over the
// prototypes, `iterations` times. `scores`: [B, prototypes], this rank's samples, of which there may be none. Returns [B,
// prototypes] without gradient; rows sum to 1. Computed on logarithms: no epsilon overflows, no mass vanishes.
// `epsilon` > 0 divides the scores: the smaller, the harder the assignments. Every rank must call it, with the same number of
// prototypes.
FOIL_API at::Tensor sinkhorn(const at::Tensor& scores, double epsilon, int64_t iterations, Ranks& ranks);

}  // namespace foil
