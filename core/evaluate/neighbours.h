// SPDX-License-Identifier: BSD-3-Clause
// The nearest rows of a bank by exact cosine similarity. Not an index: every query meets every row.
#pragma once

#include <foil/view.h>

namespace foil {

struct Neighbours {
  Tensor similarity;  // [M, k] fp64, nearest first
  Tensor row;         // [M, k] int64, rows of the bank
};

// The k rows of `bank` [N, D] nearest to each query [M, D] by the cosines of exact_cosine.h (all when there
// are fewer); of equal similarities the lower row is nearer. On the device of the queries. Working memory: a
// few times `chunk_bytes` beside the result.
Neighbours nearest_rows(const Tensor& bank, const Tensor& queries, int64_t k, int64_t chunk_bytes);

}  // namespace foil
