// SPDX-License-Identifier: BSD-3-Clause
// Positive numbers of each sample of the training set, kept as their logarithms, so that none overflows: the
// moving averages of SogCLR's family. The logarithm of a sample that was never seen is -inf; the buffer of a
// loss holds the lowest float for it, so that what is saved is finite.
#pragma once

#include <foil/loss.h>

namespace foil {

// A buffer of `rows` samples, none of them seen: fp64 [rows] on the CPU.
FOIL_API Tensor unseen_logs(int64_t rows);

// Rows `index` (int64 [B]) of the buffer, in `type`: [B].
FOIL_API Tensor read_logs(const Tensor& buffer, const Tensor& index, at::ScalarType type);

// `logs` [N] to rows `index` (int64 [N]) of the buffer, without gradient; where an index repeats, its last.
FOIL_API void write_logs(Tensor buffer, const Tensor& index, const Tensor& logs);

// log((1 - rate) exp(before) + rate exp(now)), all [B], 0 < rate <= 1; `before` where now is -inf.
FOIL_API Tensor moved_logs(const Tensor& before, const Tensor& now, const Tensor& rate);

}  // namespace foil
