// SPDX-License-Identifier: BSD-3-Clause
#include "study/test_set.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace foil {
namespace {

constexpr double kNormal = 1.959963984540054;  // below which 97.5 % of a normal distribution lie

}  // namespace

Interval wilson(double share, int64_t samples) {
  const auto n = static_cast<double>(samples);
  const double z2 = kNormal * kNormal / n, centre = (share + z2 / 2) / (1 + z2),
               half = kNormal / (1 + z2) * std::sqrt(share * (1 - share) / n + z2 / (4 * n));
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

std::optional<Interval> difference_over_samples(const std::map<int64_t, Hits>& a,
                                                const std::map<int64_t, Hits>& b) {
  std::vector<double> difference;  // of each sample, summed over seeds
  int64_t seeds = 0;
  for (const auto& [seed, mine] : a) {
    const auto other = b.find(seed);
    if (other == b.end()) continue;
    const std::vector<uint8_t>& theirs = *other->second;
    if (seeds++ == 0) difference.resize(mine->size());
    if (mine->size() != difference.size() || theirs.size() != difference.size()) return std::nullopt;
    for (size_t i = 0; i < difference.size(); ++i) difference[i] += (*mine)[i] - theirs[i];
  }
  if (difference.empty()) return std::nullopt;
  const auto n = static_cast<double>(difference.size()), all = static_cast<double>(seeds);
  double sum = 0, squares = 0;
  for (const double d : difference) {
    sum += d / all;
    squares += d / all * (d / all);
  }
  const double mean = sum / n, half = kNormal * std::sqrt(std::max(0.0, squares / n - mean * mean) / n);
  return Interval{mean - half, mean + half};
}

}  // namespace foil
