// SPDX-License-Identifier: BSD-3-Clause
// Counting similarities above a threshold at the speed of fp32, with the result of exact arithmetic. On the
// CPU only.
//
// A dot product of D terms in fp32, whatever the order of its sum, is within
//    gamma_D sum_i |a_i b_i|,  gamma_D = D u / (1 - D u),  u = 2^-24
// of the exact one (Higham, "Accuracy and Stability of Numerical Algorithms", 2nd edition, 2002, eq. 3.5),
// and for unit rows the sum is at most 1. So a similarity that differs from the threshold by more is on the
// right side of it; only the few others are computed again, exactly.
#pragma once

#include "evaluate/placing.h"

#include <optional>

namespace foil {

// Whether LibTorch multiplies these rows [N, D] in true fp32 on the CPU, and D is small enough for the bound.
bool can_screen(const Tensor& rows);

// The same as place_exactly (placing.h), in tiles of `tile` candidates. Nothing where more than a quarter of
// the comparisons had to be made exactly, as they have when all embeddings are at one point: then
// place_exactly is faster.
std::optional<std::vector<Placed>> place_by_screening(const Tensor& queries, int64_t first,
                                                      const Tensor& candidates, const RelevantRows& relevant,
                                                      int64_t tile);

}  // namespace foil
