// SPDX-License-Identifier: BSD-3-Clause
// Two sorted lists with the place of each query in them.
#include "evaluate/relevance.h"

#include <torch/types.h>

#include <algorithm>
#include <iterator>

namespace foil {
namespace {

std::vector<int64_t> values(const Tensor& x) {
  const Tensor all = x.cpu().contiguous();
  return {all.const_data_ptr<int64_t>(), all.const_data_ptr<int64_t>() + all.numel()};
}

Tensor checked_groups(const char* what, const Tensor& groups, int64_t rows) {
  if (!groups.defined() || groups.scalar_type() != torch::kLong || groups.dim() != 1 ||
      groups.size(0) != rows) {
    std::ostringstream got;
    if (groups.defined()) got << groups.dtype().name() << " " << groups.sizes();
    fail(Exit::failure, "retrieval: the groups of ", rows, " ", what, " are ",
         groups.defined() ? got.str() : "no tensor", ", allowed: int64 [", rows, "].");
  }
  return groups.cpu();
}

// Rows of one side of the excluded pairs.
void check_rows(const char* what, const Tensor& rows, int64_t count) {
  const int64_t low = rows.min().item<int64_t>(), high = rows.max().item<int64_t>();
  if (low < 0 || high >= count) {
    fail(Exit::data, "retrieval: excluded pairs name ", what, " ", low, " to ", high, ", allowed: 0 to ",
         count - 1, ".");
  }
}

}  // namespace

Relevance own_row(int64_t rows) {
  const Tensor row = torch::arange(rows, torch::kLong);
  return {row, row, {}};
}

RelevantRows::RelevantRows(const Relevance& relevance, int64_t queries, int64_t candidates)
    : excluded_begin_(static_cast<size_t>(queries + 1)) {
  const Tensor query = checked_groups("queries", relevance.query, queries),
               candidate = checked_groups("candidates", relevance.candidate, candidates);
  const auto [group, order] = candidate.sort(/*stable=*/true, 0, /*descending=*/false);
  by_group_ = values(order);
  begin_ = values(torch::searchsorted(group, query, /*out_int32=*/false, /*right=*/false));
  end_ = values(torch::searchsorted(group, query, /*out_int32=*/false, /*right=*/true));
  const std::vector<int64_t> groups = values(query);
  for (size_t q = 0; q < groups.size(); ++q) {
    if (groups[q] < 0) end_[q] = begin_[q];
  }

  const Tensor& excluded = relevance.excluded;
  if (!excluded.defined() || excluded.numel() == 0) return;
  if (excluded.scalar_type() != torch::kLong || excluded.dim() != 2 || excluded.size(0) != 2) {
    fail(Exit::failure, "retrieval: excluded pairs are ", excluded.dtype().name(), " ", excluded.sizes(),
         ", allowed: int64 [2, E].");
  }
  check_rows("queries", excluded[0], queries);
  check_rows("candidates", excluded[1], candidates);
  std::vector<int64_t> pairs = values(excluded[0] * candidates + excluded[1]);
  std::sort(pairs.begin(), pairs.end());
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  for (const int64_t pair : pairs) {
    excluded_.push_back(pair % candidates);
    ++excluded_begin_[static_cast<size_t>(pair / candidates + 1)];
  }
  for (size_t q = 1; q < excluded_begin_.size(); ++q) excluded_begin_[q] += excluded_begin_[q - 1];
}

std::vector<int64_t> RelevantRows::of(int64_t query) const {
  const auto q = static_cast<size_t>(query);
  const std::span<const int64_t> out = excluded(query);
  std::vector<int64_t> rows;
  rows.reserve(static_cast<size_t>(group_size(query)));
  std::set_difference(by_group_.begin() + begin_[q], by_group_.begin() + end_[q], out.begin(), out.end(),
                      std::back_inserter(rows));
  return rows;
}

std::span<const int64_t> RelevantRows::excluded(int64_t query) const {
  const auto q = static_cast<size_t>(query);
  return {excluded_.data() + excluded_begin_[q],
          static_cast<size_t>(excluded_begin_[q + 1] - excluded_begin_[q])};
}

int64_t RelevantRows::group_size(int64_t query) const {
  const auto q = static_cast<size_t>(query);
  return end_[q] - begin_[q];
}

int64_t RelevantRows::most_excluded() const {
  int64_t most = 0;
  for (size_t q = 0; q + 1 < excluded_begin_.size(); ++q)
    most = std::max(most, excluded_begin_[q + 1] - excluded_begin_[q]);
  return most;
}

}  // namespace foil
