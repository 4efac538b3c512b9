// SPDX-License-Identifier: BSD-3-Clause
// Which candidates answer which query: by groups, not by a matrix.
#pragma once

#include <foil/view.h>

#include <span>
#include <vector>

namespace foil {

// A candidate is relevant to a query where both are of one group. An excluded pair does not meet at all: the
// candidate is neither relevant nor in the way of others.
struct Relevance {
  Tensor query;      // int64 [M]: groups, any numbers >= 0; negative: of no group, nothing is relevant
  Tensor candidate;  // int64 [N], likewise
  Tensor excluded;   // optional int64 [2, E]: rows of queries over rows of candidates
};

// As many queries as candidates, each the only answer to its own row.
Relevance own_row(int64_t rows);

// The relevance looked up by query, in memory linear in M, N and E. Throws Error: Exit::failure for tensors
// of another type or size, Exit::data for excluded rows that are not there.
class RelevantRows {
 public:
  RelevantRows(const Relevance& relevance, int64_t queries, int64_t candidates);
  // The relevant candidates of a query, ascending.
  std::vector<int64_t> of(int64_t query) const;
  // Its excluded candidates, ascending, each once.
  std::span<const int64_t> excluded(int64_t query) const;
  // How many candidates are of its group, excluded or not.
  int64_t group_size(int64_t query) const;
  // The largest number of excluded candidates of any query.
  int64_t most_excluded() const;

 private:
  std::vector<int64_t> by_group_;     // candidates, by group, ascending within
  std::vector<int64_t> begin_, end_;  // of each query, in by_group_
  std::vector<int64_t> excluded_;     // candidates, by query, ascending within
  std::vector<int64_t> excluded_begin_;
};

}  // namespace foil
