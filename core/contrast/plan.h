// SPDX-License-Identifier: BSD-3-Clause
// How the matrix of pairs is cut into tiles, and in which order they are met. A plan depends on the sizes
// alone, never on the number of threads, so that the bits do not either.
#pragma once

#include "contrast/problem.h"

#include <optional>

namespace foil::contrast {

// A range of rows or columns, within one range of columns (`segment`).
struct Cut {
  int64_t begin = 0, end = 0, segment = 0;
  int64_t size() const { return end - begin; }
};

struct Plan {
  bool triangle = false;    // the matrix is symmetric: tiles on and above the diagonal only
  bool cached = false;      // the matrix is small: kept from the forward for the backward pass
  bool panel = false;       // mean_lse, mean_sum: rows by the panel, the gradient in the forward pass
  std::vector<Cut> blocks;  // of rows, one after another
  std::vector<std::vector<Cut>> lanes;  // of columns: each lane is one thread's at a time, of one segment
  int64_t tallest = 0, widest = 0;      // the most rows of a block, the most columns of a cut
};

// For tests: what is given replaces the cost model's choice while the scope lives, in all threads.
struct Tiling {
  int64_t rows = 0, columns = 0;
  std::optional<bool> triangle = {}, cached = {}, panel = {};
  bool plain = false;  // as on a GPU, blocks of `rows` rows
};
Tiling tiling();
class TilingScope {
 public:
  explicit TilingScope(Tiling tiling);
  ~TilingScope();
  TilingScope(const TilingScope&) = delete;
  TilingScope& operator=(const TilingScope&) = delete;

 private:
  Tiling before_;
};

// `average`: for mean_lse and mean_sum. `gradient`: one is wanted.
Plan plan_of(const Problem& problem, bool average, bool gradient);

}  // namespace foil::contrast
