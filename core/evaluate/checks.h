// SPDX-License-Identifier: BSD-3-Clause
// What every measure asks of embeddings and labels before it uses them, and the unit sphere that most of them
// live on.
#pragma once

#include <foil/view.h>

namespace foil {

// Throws unless x is a floating [N, F] with at least one row and only finite values (Exit::non_finite).
void check_embeddings(const char* what, const Tensor& x);
// Labels as contiguous int64 [rows] on the CPU; throws unless they are that many and in {0, ..., classes-1}.
Tensor checked_labels(const char* what, const Tensor& labels, int64_t rows, int64_t classes);
// Rows of x [N, F] in fp64, divided by their L2 norm; an all-zero row stays zero.
Tensor unit_rows(const Tensor& x);

}  // namespace foil
