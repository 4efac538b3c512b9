// SPDX-License-Identifier: BSD-3-Clause
// The few statistics of a comparison table. Values are kept by seed, because variants are compared on equal seeds.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace foil {

using BySeed = std::map<int64_t, double>;

// Both want at least one value; of one value the sample standard deviation (n - 1) is 0.
double mean(const BySeed& values);
double sample_std(const BySeed& values);

struct PairedTest {
  int64_t pairs = 0;        // seeds that both have
  std::optional<double> p;  // two-sided; none below three pairs
};

// Student's paired t-test of mean(a - b) = 0 over the seeds that both have. When every pair differs by the same amount (to
// rounding), p is 1 for no difference and 0 otherwise.
PairedTest paired_t_test(const BySeed& a, const BySeed& b);

// "0.031", "< 0.001", or "n < 3".
std::string to_string(const PairedTest& test);

}  // namespace foil
