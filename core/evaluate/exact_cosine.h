// SPDX-License-Identifier: BSD-3-Clause
// Cosine similarities with the same bits however they are computed.
//
// Rows are L2-normalised in fp64 and rounded to multiples of 2^-24 (the step of fp32 just below 1), called
// grid rows here. Products and sums of such numbers are exact in fp64, so chunks, ranks, threads, devices and
// the order of a sum do not matter, and equal rows tie exactly. An all-zero row has similarity 0 to
// everything.
#pragma once

#include <foil/view.h>

namespace foil {

// Grid rows of x [N, D] in fp64.
Tensor exact_unit_rows(const Tensor& x);
// The same numbers in fp32, which holds them: a contiguous [N, D]. Working memory: a few times `chunk_bytes`
// on a device, none on the CPU but a copy of rows that are neither fp32 nor fp64, or not contiguous.
Tensor grid_rows(const Tensor& x, int64_t chunk_bytes);

// The similarity of two grid rows on the CPU.
double exact_dot(const float* a, const float* b, int64_t size);
// Of rows a_row[p] of a [M, D] and b_row[p] of b [N, D], both of grid_rows: fp64 [P] on their device. a_row
// and b_row are int64 [P] on the CPU.
Tensor exact_cosines_of_pairs(const Tensor& a, const Tensor& a_row, const Tensor& b, const Tensor& b_row,
                              int64_t chunk_bytes);
// Of all rows of a [M, D] with all rows of b [N, D], both of grid_rows: fp64 [M, N]. Working memory beside
// the result: a few times `chunk_bytes`.
Tensor exact_cosines(const Tensor& a, const Tensor& b, int64_t chunk_bytes);

}  // namespace foil
