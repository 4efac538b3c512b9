// SPDX-License-Identifier: BSD-3-Clause
// The cost model. A product of tiles runs at full speed from about 256 x 512 on, and both the tile and what
// it meets stay in the caches; a panel is as high as its memory allows; what is kept is bounded.
#include "contrast/plan.h"

#include <algorithm>
#include <mutex>

namespace foil::contrast {
namespace {

constexpr int64_t kRows = 256, kColumns = 512, kSquare = 384;
constexpr int64_t kPanelBytes = 16 << 20, kHighestPanel = 512, kLowestPanel = 32;
constexpr int64_t kCachedBytes = 8 << 20;
constexpr int64_t kFewLanes = 4, kManyLanes = 8, kCutsForMany = 32;

std::mutex mutex;
Tiling chosen;

// [begin, end) in pieces of at most `size`.
void cut(int64_t begin, int64_t end, int64_t segment, int64_t size, std::vector<Cut>& cuts) {
  for (; begin < end; begin += size) cuts.push_back({begin, std::min(begin + size, end), segment});
}

std::vector<Cut> column_cuts(const Problem& p, int64_t size) {
  std::vector<Cut> cuts;
  for (int64_t g = 0; g < p.ranges(); ++g) {
    const int64_t begin = g == 0 ? 0 : p.segments[static_cast<size_t>(g - 1)];
    cut(begin, p.segments[static_cast<size_t>(g)], g, size, cuts);
  }
  return cuts;
}

// Cut by cut to the lanes of its segment, in turn: in a triangle all lanes then have work to the end.
std::vector<std::vector<Cut>> lanes_of(const std::vector<Cut>& cuts, int64_t segments) {
  const int64_t many = static_cast<int64_t>(cuts.size()) >= kCutsForMany ? kManyLanes : kFewLanes;
  const int64_t each = std::max<int64_t>(1, many / std::max<int64_t>(1, segments));
  std::vector<std::vector<Cut>> lanes(static_cast<size_t>(each * segments));
  std::vector<int64_t> count(static_cast<size_t>(segments), 0);
  for (const Cut& one : cuts) {
    const int64_t turn = count[static_cast<size_t>(one.segment)]++ % each;
    lanes[static_cast<size_t>(one.segment * each + turn)].push_back(one);
  }
  return lanes;
}

int64_t panel_rows(const Problem& p) {
  const int64_t row = std::max<int64_t>(1, p.columns) * (p.type == at::kDouble ? 8 : 4);
  return std::min(kHighestPanel, kPanelBytes / row / 16 * 16);
}

}  // namespace

Tiling tiling() {
  const std::lock_guard lock(mutex);
  return chosen;
}

TilingScope::TilingScope(Tiling tiling) {
  const std::lock_guard lock(mutex);
  before_ = chosen;
  chosen = tiling;
}
TilingScope::~TilingScope() {
  const std::lock_guard lock(mutex);
  chosen = before_;
}

Plan plan_of(const Problem& p, bool average, bool gradient) {
  const Tiling wish = tiling();
  const bool per_row = std::all_of(p.channels.begin(), p.channels.end(),
                                   [](const Channel& channel) { return channel.per == Per::row; });
  Plan plan;
  plan.triangle =
      p.symmetric && per_row && p.scale != 0 && !p.masks->one_by_one() && wish.triangle.value_or(true);
  plan.panel = average && gradient && !plan.triangle &&
               wish.panel.value_or(panel_rows(p) >= std::min(kLowestPanel, p.rows));
  const int64_t bytes = p.rows * p.columns * (p.type == at::kDouble ? 8 : 4);
  plan.cached = gradient && !plan.panel && wish.cached.value_or(bytes <= kCachedBytes);

  const int64_t columns = wish.columns > 0 ? wish.columns : plan.triangle ? kSquare : kColumns;
  const int64_t rows = wish.rows > 0 ? wish.rows : plan.panel ? std::max<int64_t>(1, panel_rows(p)) : kRows;
  const std::vector<Cut> cuts = column_cuts(p, columns);
  if (plan.triangle) {
    plan.blocks = cuts;
  } else {
    cut(0, p.rows, 0, rows, plan.blocks);
  }
  plan.lanes = lanes_of(cuts, p.ranges());
  for (const Cut& block : plan.blocks) plan.tallest = std::max(plan.tallest, block.size());
  for (const Cut& one : cuts) plan.widest = std::max(plan.widest, one.size());
  return plan;
}

}  // namespace foil::contrast
