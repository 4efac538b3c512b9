// SPDX-License-Identifier: BSD-3-Clause
// A ranking as a TREC run file, which trec_eval and its like read.
#pragma once

#include "evaluate/relevance.h"

#include <iosfwd>
#include <string>
#include <vector>

namespace foil {

struct TrecRun {
  std::vector<std::string> queries, candidates;  // ids [M], [N]: not empty, without white space
  std::string tag = "foil";                      // names the run, likewise
  int64_t depth = 100;                           // candidates of each query, at most
};

// Writes a line "QUERY Q0 CANDIDATE RANK SCORE TAG" for the `depth` candidates [N, D] nearest to each query
// [M, D], by query, ranks from 1. SCORE is the cosine similarity (exact_cosine.h) with every digit; excluded
// pairs are left out, and of equal similarities the lower row comes first. trec_eval orders equal scores by
// its own rule (the later id first), so where there are ties its numbers are not those of retrieve(), which
// ranks them behind. Block by block: memory does not grow with M. Not for several ranks: one of them writes.
//
// Throws Error: Exit::failure when sizes disagree or the stream fails, Exit::data for an id that the format
// cannot hold, Exit::non_finite for an embedding with nan or inf.
void write_trec_run(std::ostream& out, const Tensor& queries, const Tensor& candidates,
                    const Relevance& relevance, const TrecRun& run, int64_t chunk_bytes = int64_t{64} << 20);

}  // namespace foil
