// SPDX-License-Identifier: BSD-3-Clause
// Retrieval: whether the candidates that answer a query are nearest to it. Exact and equal for any chunk
// size, number of ranks, threads and device. Not an index: every query meets every candidate.
#pragma once

#include "evaluate/relevance.h"

#include <foil/ranks.h>

#include <string>

namespace foil {

struct Measuring;

// What is found for each query, on the CPU. The means are over the queries with a relevant candidate, of
// which there is at least one.
struct Retrieval {
  Tensor rank;      // int64 [M]: of its best relevant candidate, 1 = the nearest; 0: none is relevant
  Tensor relevant;  // int64 [M]: how many candidates are relevant
  Tensor average_precision;  // fp64 [M]: mean over its relevant candidates of precision at the rank of each
  Tensor ndcg;  // fp64 [M]: sum over relevant ranks r <= 10 of 1 / log2(1 + r), over the largest possible

  int64_t answerable() const;  // queries with a relevant candidate
  // R@K: the share of queries with a relevant candidate among the first k, in [0, 1]; of several one is
  // enough. Karpathy and Fei-Fei, "Deep Visual-Semantic Alignments for Generating Image Descriptions", CVPR
  // 2015.
  double recall_at(int64_t k) const;
  // MRR: the mean of 1 / rank. Voorhees, "The TREC-8 Question Answering Track Report", 1999.
  double mean_reciprocal_rank() const;
  // mAP: Manning, Raghavan and Schuetze, "Introduction to Information Retrieval", 2008, section 8.4.
  double mean_average_precision() const;
  // nDCG@10 with gain 1: Jaervelin and Kekaelaeinen, "Cumulated gain-based evaluation of IR techniques",
  // 2002, with the discount 1 / log2(1 + rank).
  double mean_ndcg() const;
  // Of an even number of queries the mean of the two in the middle.
  double median_rank() const;
};

// Where the candidates [N, D] that are relevant to each query [M, D] stand among all of them by cosine
// similarity (exact_cosine.h). Every rank passes the same whole tensors, works on its block of the queries
// and gets the same result.
//
// Ties rank behind: of equal similarities the candidates that are not relevant come first. So every number is
// the lowest (the median rank the highest) that any order of the tied could give, and no order of the rows
// helps. A model with all embeddings at one point ranks every relevant candidate behind all others: of N
// candidates, one of them relevant, rank N. Relevant candidates that tie only with each other lose nothing.
//
// Working memory: a few times `chunk_bytes`, and the candidates once more in fp32. Time on a CPU: that of the
// product in fp32 where a query has up to 16 relevant candidates (screen.h), in fp64 beyond.
//
// Throws Error: Exit::failure when sizes disagree, Exit::data when no query has a relevant candidate,
// Exit::non_finite for an embedding with nan or inf.
Retrieval retrieve(const Tensor& queries, const Tensor& candidates, const Relevance& relevance, Ranks& ranks,
                   int64_t chunk_bytes = int64_t{64} << 20);

// What is searched for what, for measures.
struct Search {
  std::string query, candidate;  // their names, such as modalities: "image", "text"
  Tensor queries, candidates;    // [M, D], [N, D]
  Relevance relevance;
  std::string by;  // what a group is ("class"); empty: a sample is the answer to itself

  std::string name() const;  // "image>text", "image>text by class"
  // "WHAT/image>text/projections/test320/resize-none/v1", with "test320x1600" where N is another number and
  // "image>text-class" where it is by class.
  std::string id(const std::string& what, const Measuring& of) const;
};

// "image>text.R@1" and MRR, which are headline measures, R@5, R@10, nDCG@10, mAP and the median rank, under
// the protocol "retrieval-cosine-ties-last/...".
void measure_retrieval(Measuring& of, const Search& search);

}  // namespace foil
