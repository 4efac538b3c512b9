// SPDX-License-Identifier: BSD-3-Clause
// Mean, spread and the paired t-test.
#include "study/statistics.h"

#include <algorithm>
#include <cmath>

#include <boost/math/special_functions/beta.hpp>
#include <fmt/format.h>

namespace foil {

double mean(const BySeed& values) {
  double sum = 0;
  for (const auto& [seed, value] : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double sample_std(const BySeed& values) {
  if (values.size() < 2) return 0;
  const double centre = mean(values);
  double sum = 0;
  for (const auto& [seed, value] : values) sum += (value - centre) * (value - centre);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

PairedTest paired_t_test(const BySeed& a, const BySeed& b) {
  BySeed difference;
  double scale = 0;
  for (const auto& [seed, value] : a) {
    const auto other = b.find(seed);
    if (other == b.end()) continue;
    difference[seed] = value - other->second;
    scale = std::max({scale, std::abs(value), std::abs(other->second)});
  }
  PairedTest test{static_cast<int64_t>(difference.size()), std::nullopt};
  if (test.pairs < 3) return test;
  const double centre = mean(difference), spread = sample_std(difference), rounding = 1e-13 * scale;
  if (spread <= rounding) {
    test.p = std::abs(centre) <= rounding ? 1.0 : 0.0;
    return test;
  }
  const double t = centre / (spread / std::sqrt(static_cast<double>(test.pairs)));
  const double freedom = static_cast<double>(test.pairs - 1);
  test.p = boost::math::ibeta(freedom / 2, 0.5, freedom / (freedom + t * t));  // = P(|T| > |t|)
  return test;
}

std::string to_string(const PairedTest& test) {
  if (!test.p) return "n < 3";
  return *test.p < 0.001 ? "< 0.001" : fmt::format("{:.3f}", *test.p);
}

}  // namespace foil
