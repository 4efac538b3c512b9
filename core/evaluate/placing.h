// SPDX-License-Identifier: BSD-3-Clause
// Where the relevant candidates of a query stand among all candidates, exactly. Only counts: nothing is
// sorted but the relevant ones.
#pragma once

#include "evaluate/relevance.h"

#include <functional>
#include <vector>

namespace foil {

// Of one query.
struct Placed {
  std::vector<double> similarity;  // of its relevant candidates, descending
  std::vector<int64_t> at_least;   // of each: how many candidates, relevant or not, itself among them, are as
                                   // similar as it is or more
};

// Calls use(query, placed) for each of the queries first, ..., last-1 in this order. `queries` [M, D] and
// `candidates` [N, D] are floating and finite. Working memory: a few times `chunk_bytes`, and the candidates
// once more in fp32.
void place(const Tensor& queries, const Tensor& candidates, const RelevantRows& relevant, int64_t first,
           int64_t last, int64_t chunk_bytes, const std::function<void(int64_t, const Placed&)>& use);

// Of a block of queries [B, D], the first of which is row `first` of all, both as grid_rows (exact_cosine.h).
// By a whole row of similarities a query, on any device and for any number of relevant candidates.
std::vector<Placed> place_exactly(const Tensor& queries, int64_t first, const Tensor& candidates,
                                  const RelevantRows& relevant, int64_t chunk_bytes);

// The similarities [B, N] of excluded pairs become -inf, which is below all others.
void leave_out_excluded(Tensor& similarity, int64_t first, const RelevantRows& relevant);

}  // namespace foil
