// SPDX-License-Identifier: BSD-3-Clause
// The few statistics of a comparison table. Values are kept by seed, because variants are compared on equal
// seeds.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace foil {

using BySeed = std::map<int64_t, double>;

// Both want at least one value; of one value the sample standard deviation (n - 1) is 0.
double mean(const BySeed& values);
double sample_std(const BySeed& values);

// One variant against another on equal seeds: the differences a - b over the seeds that both have.
struct PairedTest {
  int64_t pairs = 0;
  double difference = 0;  // mean of a - b; 0 without a pair
  std::optional<double> low,
      high;  // its 95 % interval: from 5 pairs on BCa, of 2 to 4 Student's t; none below two pairs
  std::optional<double> p;          // Student's paired t-test, two-sided; none below three pairs
  std::optional<double> sign_flip;  // exact sign-flip test, two-sided; none below three pairs
  std::optional<double> holm;       // sign_flip corrected for the number of variants, set by correct()
};

// t: when every pair differs by the same amount (to rounding), p is 1 for no difference and 0 otherwise. Sign
// flips: the share of the 2^n choices of signs whose mean is at least as far from 0 (Fisher's randomisation
// test; of more than 20 pairs 100,000 keyed draws). BCa: bias-corrected and accelerated bootstrap of the mean
// (Efron, JASA 1987), over all resamples up to 6 pairs, over 10,000 keyed ones beyond.
PairedTest paired_test(const BySeed& a, const BySeed& b);

// Holm's step-down correction (Scandinavian Journal of Statistics, 1979) of the sign-flip p of all
// comparisons with one reference.
void correct(const std::vector<PairedTest*>& tests);

// The smallest p that n pairs can reach under `variants` comparisons corrected by Holm: variants * 2 / 2^n,
// at most 1.
double smallest_p(int64_t pairs, int64_t variants = 1);
// The fewest pairs that can reach p < level.
int64_t pairs_for(double level, int64_t variants = 1);

// The value below which a share of the sorted values (two or more) lies, between two of them linearly.
double quantile_of_sorted(const std::vector<double>& sorted, double share);

// "0.031", "< 0.001".
std::string p_text(double p);

}  // namespace foil
