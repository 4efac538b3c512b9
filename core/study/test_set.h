// SPDX-License-Identifier: BSD-3-Clause
// What the choice of the test samples alone does to an accuracy and to the difference of two, the trained
// models held: the spread that stands beside the one over seeds.
#pragma once

#include "study/sample_hits.h"

#include <cstdint>
#include <map>
#include <optional>

namespace foil {

struct Interval {
  double low = 0, high = 0;
};

// Wilson's 95 % interval of a share of so many samples (Journal of the American Statistical Association,
// 1927).
Interval wilson(double share, int64_t samples);

// The 95 % interval of the mean over test samples of a - b, each sample's hits being means over the seeds
// that both have. It is that of the paired bootstrap over samples in its normal form, mean +- 1.96 standard
// errors, whose standard error is exactly the bootstrap's: from some hundred samples on both agree to the
// noise of 10,000 resamples, and this one draws nothing. Nothing without a shared seed, or where the samples
// differ in number.
std::optional<Interval> difference_over_samples(const std::map<int64_t, Hits>& a,
                                                const std::map<int64_t, Hits>& b);

}  // namespace foil
