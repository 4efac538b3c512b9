// SPDX-License-Identifier: BSD-3-Clause
// What SogCLR and iSogCLR share: how much of a sample's estimate stays in a step.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

// From 0 to `momentum` by a cosine in `epochs` epochs.
inline double raised_momentum(double momentum, int64_t epoch, int64_t epochs) {
  const double part = std::min(1.0, static_cast<double>(epoch) / static_cast<double>(epochs));
  return momentum * (0.5 * (1 - std::cos(M_PI * part)));
}
