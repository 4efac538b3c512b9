// SPDX-License-Identifier: BSD-3-Clause
// The assignment problem.
#pragma once

#include <foil/view.h>

namespace foil {

// The matching of rows to columns of `gain` (fp64 [R, C] on the CPU, finite), each at most once, with the
// largest sum: int64 [R], the column of each row, -1 for one that is left without (R > C). Shortest
// augmenting paths, O(max(R, C)^3): Jonker and Volgenant, "A shortest augmenting path algorithm for dense and
// sparse linear assignment problems", 1987.
Tensor best_matching(const Tensor& gain);

}  // namespace foil
