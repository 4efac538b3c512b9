// SPDX-License-Identifier: BSD-3-Clause
// k-nearest-neighbour accuracy of embeddings: exact and equal for any chunk size, number of ranks, threads
// and device. Not an index: every query meets every row of the bank.
#pragma once

#include <foil/fields.h>
#include <foil/ranks.h>
#include <foil/view.h>

namespace foil {

struct Measuring;

enum class Vote { weighted, majority };
enum class Similarity { cosine };

struct KnnOptions {
  int64_t neighbours = 20;
  double temperature = 0.07;
  Vote vote = Vote::weighted;
  Similarity similarity = Similarity::cosine;
  void describe(Fields& fields);
};

// The voted class of each query [M, F]: int64 [M] on the CPU. `bank` [N, F] is what votes, with its labels,
// int64 in {0, ..., classes-1}. Every rank passes the same
// whole tensors, works on its block of the queries and gets the same result. Working memory: a few times
// `chunk_bytes`, and the neighbours of this rank's queries.
//
// Similarity: the cosines of exact_cosine.h, which are the same however they are computed.
//
// Vote "weighted": exp(similarity / temperature), Wu et al., "Unsupervised Feature Learning via
// Non-Parametric Instance Discrimination", CVPR 2018, section 3.4; "majority": 1 each. Of equal similarities
// the lower bank row is nearer; of equal votes the class of the nearest neighbour among them wins; a class
// without votes never does.
//
// Throws Error: Exit::usage when the bank has fewer rows than `neighbours`, Exit::non_finite for an embedding
// with nan or inf.
Tensor knn_classes(const Tensor& bank, const Tensor& bank_labels, const Tensor& queries, int64_t classes,
                   const KnnOptions& options, Ranks& ranks, int64_t chunk_bytes = int64_t{64} << 20);

// The share of queries whose voted class is their label, in [0, 1].
double knn_accuracy(const Tensor& bank, const Tensor& bank_labels, const Tensor& queries,
                    const Tensor& query_labels, int64_t classes, const KnnOptions& options, Ranks& ranks,
                    int64_t chunk_bytes = int64_t{64} << 20);

// "knn": the accuracy of the queries by votes of the bank.
void measure_knn(Measuring& of, const KnnOptions& options);

}  // namespace foil
