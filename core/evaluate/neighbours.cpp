// SPDX-License-Identifier: BSD-3-Clause
// Tiles of exact similarities, the k best of each tile merged into the k best so far.
#include "evaluate/neighbours.h"

#include "evaluate/exact_cosine.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace foil {
namespace {

// The k largest of each row (all when there are fewer): larger first, of equal ones the lower column first.
Neighbours largest(const Tensor& similarity, int64_t k) {
  const int64_t columns = similarity.size(1);
  k = std::min(k, columns);
  auto [value, column] = similarity.topk(std::min(k + 1, columns), 1);
  if (k < columns) {  // topk takes any of those that tie for the last place
    const Tensor tied = (value.select(1, k - 1) == value.select(1, k)).nonzero().squeeze(1);
    value = value.narrow(1, 0, k);
    column = column.narrow(1, 0, k);
    if (tied.numel() > 0) {
      const Tensor rows = similarity.index_select(0, tied);
      const Tensor last = value.index_select(0, tied).narrow(1, k - 1, 1);
      const Tensor above = rows > last, equal = rows == last;
      const Tensor taken = above | (equal & (equal.cumsum(1, torch::kInt) <= k - above.sum(1, true)));
      const Tensor columns_taken = taken.nonzero().select(1, 1).view({-1, k});
      column.index_copy_(0, tied, columns_taken);
      value.index_copy_(0, tied, rows.gather(1, columns_taken));
    }
  }
  const auto [ascending, to_ascending] = column.sort(1);
  const auto [sorted, order] = value.gather(1, to_ascending).sort(/*stable=*/true, 1, /*descending=*/true);
  return {sorted, ascending.gather(1, order)};
}

// `later` holds higher rows than `best`, so a stable sort keeps the lower row first.
Neighbours merge(const Neighbours& best, const Neighbours& later, int64_t k) {
  auto [similarity, order] =
      torch::cat({best.similarity, later.similarity}, 1).sort(/*stable=*/true, 1, /*descending=*/true);
  const Tensor row = torch::cat({best.row, later.row}, 1).gather(1, order);
  k = std::min(k, row.size(1));
  return {similarity.narrow(1, 0, k), row.narrow(1, 0, k)};
}

}  // namespace

Neighbours nearest_rows(const Tensor& bank, const Tensor& queries, int64_t k, int64_t chunk_bytes) {
  k = std::min(k, bank.size(0));
  // block x tile similarities, and tile x F unit rows, fill chunk_bytes.
  const int64_t block =
      std::max<int64_t>(1, static_cast<int64_t>(std::sqrt(static_cast<double>(chunk_bytes) / 64)));
  const int64_t tile = std::clamp<int64_t>(chunk_bytes / 8 / bank.size(1), 1, 8 * block);
  const int64_t count = queries.size(0);

  std::vector<Neighbours> best;  // of each block of queries
  for (int64_t b = 0; b < bank.size(0); b += tile) {
    const Tensor rows = exact_unit_rows(bank.narrow(0, b, std::min(tile, bank.size(0) - b))).t();  // [F, T]
    for (int64_t q = 0; q < count; q += block) {
      Neighbours found =
          largest(exact_unit_rows(queries.narrow(0, q, std::min(block, count - q))).mm(rows), k);
      found.row += b;
      if (b == 0) {
        best.push_back(found);
      } else {
        Neighbours& before = best[static_cast<size_t>(q / block)];
        before = merge(before, found, k);
      }
    }
  }
  std::vector<Tensor> similarity{torch::empty({0, k}, queries.options().dtype(torch::kDouble))},
      row{torch::empty({0, k}, queries.options().dtype(torch::kLong))};
  for (const Neighbours& part : best) {
    similarity.push_back(part.similarity);
    row.push_back(part.row);
  }
  return {torch::cat(similarity), torch::cat(row)};
}

}  // namespace foil
