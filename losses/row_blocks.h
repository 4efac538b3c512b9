// SPDX-License-Identifier: BSD-3-Clause
// Row blocks: what anchors have to do with very many candidates, in memory that grows with the candidates and
// not with the pairs. Pairs are taken some rows at a time, forgotten, and taken again in the backward pass.
// Sizes: B anchors of this rank, C candidates, b rows of a block.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

namespace foil {

// Calls act(first, last) for the blocks of rows of a matrix [rows, columns]: 2^21 numbers each, or 64 rows.
inline void in_row_blocks(int64_t rows, int64_t columns, const std::function<void(int64_t, int64_t)>& act) {
  const int64_t height = std::max<int64_t>(64, (int64_t{1} << 21) / std::max<int64_t>(1, columns));
  for (int64_t first = 0; first < rows; first += height) act(first, std::min(first + height, rows));
}

}  // namespace foil
