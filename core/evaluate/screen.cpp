// SPDX-License-Identifier: BSD-3-Clause
// Tiles of similarities in fp32, counted in strips that stay in the first-level cache; what the bound leaves
// open in a strip is computed exactly.
#include "evaluate/screen.h"

#include "api/clones.h"
#include "evaluate/exact_cosine.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#pragma GCC optimize("O3")  // GCC's -O2 leaves loops of unknown length scalar

namespace foil {
namespace {

constexpr int64_t kStrip = 512, kSmallStrip = 32;
constexpr int64_t kMostTerms = 100'000;  // up to it 1.01 covers 1 / (1 - D u) and rows a little longer than 1

// A similarity in fp32 of `high` or more is at least the threshold, one below `low` is less.
struct Band {
  float low, high;
};

Band band_of(double threshold, double bound) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  // The conversion rounds to nearest: one step further out is safe.
  return {std::nextafter(static_cast<float>(threshold - bound), -kInfinity),
          std::nextafter(static_cast<float>(threshold + bound), kInfinity)};
}

struct Counts {
  int32_t reached = 0;  // `high` or more
  int32_t open = 0;     // in between
};

FOIL_CLONES Counts count(const float* values, int64_t size, Band band) {
  int32_t high = 0, low = 0;
  for (int64_t i = 0; i < size; ++i) {
    high += values[i] >= band.high;
    low += values[i] >= band.low;
  }
  return {high, low - high};
}

// The tile of one query: its similarities in fp32, and the rows they are of.
struct Tile {
  const float* similarity;  // [columns]
  const float* rows;        // [columns, size]
  const float* query;       // [size]
  int64_t columns, size;
};

// How many of the columns begin, ..., end-1 of the tile are at least the threshold; adds those that were
// computed again to `again`. In strips, of which those with an open column are cut smaller.
int64_t reached(const Tile& tile, double threshold, Band band, int64_t begin, int64_t end, int64_t strip,
                int64_t& again) {
  int64_t all = 0;
  for (; begin < end; begin += strip) {
    const int64_t stop = std::min(begin + strip, end);
    const Counts found = count(tile.similarity + begin, stop - begin, band);
    if (found.open > 0 && strip > kSmallStrip) {
      all += reached(tile, threshold, band, begin, stop, kSmallStrip, again);
      continue;
    }
    all += found.reached;
    again += found.open;
    for (int64_t i = begin; found.open > 0 && i < stop; ++i) {
      if (tile.similarity[i] >= band.low && tile.similarity[i] < band.high)
        all += exact_dot(tile.query, tile.rows + i * tile.size, tile.size) >= threshold;
    }
  }
  return all;
}

// What a query starts with: its relevant similarities, and less than nothing for the excluded candidates,
// which the tiles count.
Placed begun(const float* query, const float* rows, int64_t size, const std::vector<int64_t>& relevant,
             std::span<const int64_t> excluded) {
  Placed placed;
  for (const int64_t row : relevant) placed.similarity.push_back(exact_dot(query, rows + row * size, size));
  std::sort(placed.similarity.begin(), placed.similarity.end(), std::greater<>());
  placed.at_least.assign(placed.similarity.size(), 0);
  for (const int64_t row : excluded) {
    const double similarity = exact_dot(query, rows + row * size, size);
    for (size_t j = 0; j < placed.similarity.size(); ++j)
      placed.at_least[j] -= similarity >= placed.similarity[j];
  }
  return placed;
}

}  // namespace

bool can_screen(const Tensor& rows) {
  const at::Float32Precision precision =
      at::globalContext().float32Precision(at::Float32Backend::MKLDNN, at::Float32Op::MATMUL);
  return rows.is_cpu() && rows.size(1) <= kMostTerms && precision != at::Float32Precision::BF16 &&
         precision != at::Float32Precision::TF32;
}

std::optional<std::vector<Placed>> place_by_screening(const Tensor& queries, int64_t first,
                                                      const Tensor& candidates, const RelevantRows& relevant,
                                                      int64_t tile) {
  const int64_t block = queries.size(0), columns = candidates.size(0), size = queries.size(1);
  const double bound = 1.01 * 0x1p-24 * static_cast<double>(size);
  const float *query = queries.const_data_ptr<float>(), *rows = candidates.const_data_ptr<float>();
  std::vector<Placed> placed(static_cast<size_t>(block));
  at::parallel_for(0, block, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      placed[static_cast<size_t>(r)] =
          begun(query + r * size, rows, size, relevant.of(first + r), relevant.excluded(first + r));
    }
  });

  tile = std::min(tile, columns);
  Tensor buffer = torch::empty({block * tile}, queries.options());
  std::atomic<int64_t> made = 0, again = 0;  // comparisons, and those made exactly
  for (int64_t t = 0; t < columns; t += tile) {
    const int64_t width = std::min(tile, columns - t);
    Tensor similarity = buffer.narrow(0, 0, block * width).view({block, width});
    torch::mm_out(similarity, queries, candidates.narrow(0, t, width).t());
    at::parallel_for(0, block, 1, [&](int64_t begin, int64_t end) {
      int64_t made_here = 0, again_here = 0;
      for (int64_t r = begin; r < end; ++r) {
        const Tile mine{similarity.const_data_ptr<float>() + r * width, rows + t * size, query + r * size,
                        width, size};
        Placed& row = placed[static_cast<size_t>(r)];
        int64_t added = 0;
        for (size_t j = 0; j < row.similarity.size(); ++j) {
          if (j == 0 || row.similarity[j] != row.similarity[j - 1]) {
            added = reached(mine, row.similarity[j], band_of(row.similarity[j], bound), 0, width, kStrip,
                            again_here);
            made_here += width;
          }
          row.at_least[j] += added;
        }
      }
      made += made_here;
      again += again_here;
    });
    if (4 * again > made) return {};
  }
  return placed;
}

}  // namespace foil
