// SPDX-License-Identifier: BSD-3-Clause
// Block after block of queries, by the screen where that is faster; and counting on whole rows, by torch.
#include "evaluate/placing.h"

#include "evaluate/exact_cosine.h"
#include "evaluate/screen.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace foil {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Relevant candidates a query, on average over a block, up to which the screen is faster than whole rows.
constexpr int64_t kFew = 16;

int64_t group_sizes(const RelevantRows& relevant, int64_t first, int64_t count) {
  int64_t all = 0;
  for (int64_t q = first; q < first + count; ++q) all += relevant.group_size(q);
  return all;
}

// How many candidates have each similarity of `threshold` or more. threshold [B, R] ascending in each row,
// similarity [B, N]: int64 [B, R].
Tensor count_at_least(const Tensor& threshold, const Tensor& similarity) {
  const int64_t rows = threshold.size(0), bins = threshold.size(1) + 1;
  Tensor bin = torch::searchsorted(threshold, similarity, /*out_int32=*/false, /*right=*/true);  // [B, N]
  bin += torch::arange(rows, bin.options()).unsqueeze(1) * bins;
  const Tensor found = bin.view(-1).bincount({}, rows * bins).view({rows, bins});  // thresholds reached
  return found.flip(1).cumsum(1).flip(1).narrow(1, 1, bins - 1);
}

}  // namespace

void leave_out_excluded(Tensor& similarity, int64_t first, const RelevantRows& relevant) {
  std::vector<int64_t> entries;
  for (int64_t r = 0; r < similarity.size(0); ++r) {
    for (const int64_t column : relevant.excluded(first + r))
      entries.push_back(r * similarity.size(1) + column);
  }
  if (entries.empty()) return;
  similarity.view(-1).index_fill_(0, torch::tensor(entries, torch::kLong).to(similarity.device()),
                                  -kInfinity);
}

std::vector<Placed> place_exactly(const Tensor& queries, int64_t first, const Tensor& candidates,
                                  const RelevantRows& relevant, int64_t chunk_bytes) {
  const int64_t rows = queries.size(0), columns = candidates.size(0);
  std::vector<Placed> placed(static_cast<size_t>(rows));
  std::vector<std::vector<int64_t>> found;
  size_t widest = 0;
  for (int64_t r = 0; r < rows; ++r) {
    found.push_back(relevant.of(first + r));
    widest = std::max(widest, found.back().size());
  }
  if (widest == 0) return placed;

  Tensor similarity = exact_cosines(queries, candidates, chunk_bytes);  // [B, N]
  leave_out_excluded(similarity, first, relevant);
  const auto width = static_cast<int64_t>(widest);
  std::vector<int64_t> from, to;  // flat, in similarity and in threshold
  for (int64_t r = 0; r < rows; ++r) {
    int64_t next = r * width;
    for (const int64_t column : found[static_cast<size_t>(r)]) {
      from.push_back(r * columns + column);
      to.push_back(next++);
    }
  }
  const auto flat = [&](const std::vector<int64_t>& at) {
    return torch::tensor(at, torch::kLong).to(similarity.device());
  };
  Tensor threshold = torch::full({rows * width}, kInfinity, similarity.options());
  threshold.index_copy_(0, flat(to), similarity.view(-1).index_select(0, flat(from)));
  threshold = std::get<0>(threshold.view({rows, width}).sort(1));  // ascending, inf behind
  const Tensor count = count_at_least(threshold, similarity).cpu().contiguous();
  threshold = threshold.cpu().contiguous();
  for (int64_t r = 0; r < rows; ++r) {
    Placed& row = placed[static_cast<size_t>(r)];
    for (int64_t j = static_cast<int64_t>(found[static_cast<size_t>(r)].size()) - 1; j >= 0; --j) {
      row.similarity.push_back(threshold.const_data_ptr<double>()[r * width + j]);
      row.at_least.push_back(count.const_data_ptr<int64_t>()[r * width + j]);
    }
  }
  return placed;
}

void place(const Tensor& queries, const Tensor& candidates, const RelevantRows& relevant, int64_t first,
           int64_t last, int64_t chunk_bytes, const std::function<void(int64_t, const Placed&)>& use) {
  const Tensor rows = grid_rows(candidates, chunk_bytes);
  const auto side = static_cast<int64_t>(std::sqrt(static_cast<double>(chunk_bytes) / 16));
  const int64_t block = std::clamp<int64_t>(side, 1, std::max<int64_t>(1, last - first));
  const int64_t tile = std::max<int64_t>(1, chunk_bytes / 8 / block);  // block x tile in fp32: half of it
  // A whole row costs its similarities, their bins and the counts, 8 bytes each, some of them twice.
  const int64_t part = std::max<int64_t>(1, chunk_bytes / 48 / candidates.size(0));
  const bool screened = can_screen(rows);
  for (int64_t q = first; q < last; q += block) {
    const int64_t count = std::min(block, last - q);
    const Tensor some = grid_rows(queries.narrow(0, q, count), chunk_bytes);
    if (screened && group_sizes(relevant, q, count) <= kFew * count) {
      if (const auto placed = place_by_screening(some, q, rows, relevant, tile)) {
        for (int64_t r = 0; r < count; ++r) use(q + r, (*placed)[static_cast<size_t>(r)]);
        continue;
      }
    }
    for (int64_t p = 0; p < count; p += part) {
      const int64_t length = std::min(part, count - p);
      const auto placed = place_exactly(some.narrow(0, p, length), q + p, rows, relevant, chunk_bytes);
      for (int64_t r = 0; r < length; ++r) use(q + p + r, placed[static_cast<size_t>(r)]);
    }
  }
}

}  // namespace foil
