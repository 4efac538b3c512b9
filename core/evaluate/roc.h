// SPDX-License-Identifier: BSD-3-Clause
// How well scores tell positives from negatives: the ROC curve and the area under it.
#pragma once

#include "evaluate/relevance.h"

#include <foil/ranks.h>

#include <vector>

namespace foil {

struct Measuring;
struct Search;

struct RocPoint {
  double false_positives, true_positives;  // rates in [0, 1]
};

struct Roc {
  // The probability that a positive has a higher score than a negative, a tie counting 1/2 (the statistic of
  // Mann and Whitney): 1 = apart, 0.5 = chance and all scores equal. Hanley and McNeil, "The meaning and use
  // of the area under a receiver operating characteristic (ROC) curve", Radiology, 1982.
  double auc = 0;
  int64_t positives = 0, negatives = 0;
  // Points of the curve from (0, 0) to (1, 1), so many that straight lines between them are nowhere further
  // from it than 2 / (the most points - 1).
  std::vector<RocPoint> curve;
};

// Of scores [N], any numbers, of which the higher are to be the positive ones; positive is bool [N]. At most
// `points` >= 2 points of the curve. Throws Error: Exit::failure for other tensors, Exit::data without a
// positive or without a negative, Exit::non_finite for a score of nan or inf.
Roc roc_of(const Tensor& scores, const Tensor& positive, int64_t points = 200);

// Of the cosine similarities (exact_cosine.h) of all pairs of queries [M, D] and candidates [N, D] together:
// positive are the relevant ones, negative the others; excluded pairs are left out. Exact: no histogram of
// scores. Every rank passes the same whole tensors, works on its block of the queries and gets the same
// result. Working memory: a few times `chunk_bytes`, the candidates once more in fp32, and 48 bytes a
// relevant pair. Time: that of the product in fp64. Throws as retrieve() and roc_of do.
Roc roc_of_pairs(const Tensor& queries, const Tensor& candidates, const Relevance& relevance, Ranks& ranks,
                 int64_t points = 200, int64_t chunk_bytes = int64_t{256} << 20);

// "image>text.AUC" under the protocol "auc-cosine-ties-half/...", with the curve as "curve":
// [[false positives, true positives], ...].
void measure_roc(Measuring& of, const Search& search);

}  // namespace foil
