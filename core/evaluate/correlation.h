// SPDX-License-Identifier: BSD-3-Clause
// Whether similarities rise with the scores that people gave: the measure of semantic textual similarity.
#pragma once

#include <foil/view.h>

#include <string>

namespace foil {

struct Measuring;

// The places 1, ..., N of the values of x [N], any numbers, in ascending order; equal ones share the mean of
// theirs. fp64 [N] on the CPU.
Tensor average_ranks(const Tensor& x);

// Spearman's rank correlation of a [N] and b [N], N >= 2: Pearson's of their average ranks, in [-1, 1]; 0
// where one of them is constant, which has no order (scipy gives nan). Spearman, "The Proof and Measurement
// of Association between Two Things", 1904. Throws Error: Exit::failure for other sizes, Exit::non_finite for
// nan or inf.
double spearman(const Tensor& a, const Tensor& b);

// The cosine similarity (exact_cosine.h) of row i of a [N, D] with row i of b [N, D]: fp64 [N] on the CPU.
Tensor paired_cosines(const Tensor& a, const Tensor& b);

// "first>second.Spearman", of the cosine similarities of the pairs of rows with `score` [N], under the
// protocol "spearman-cosine/...". A headline measure.
void measure_spearman(Measuring& of, const std::string& first_name, const Tensor& first,
                      const std::string& second_name, const Tensor& second, const Tensor& score);

}  // namespace foil
