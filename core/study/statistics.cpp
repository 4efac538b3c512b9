// SPDX-License-Identifier: BSD-3-Clause
// Mean, spread, and what the differences of two variants on equal seeds can say: Student's test, the exact
// sign-flip test, the interval of the mean difference, Holm's correction.
#include "study/statistics.h"

#include <foil/random.h>

#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <boost/math/special_functions/beta.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace foil {
namespace {

using Values = std::vector<double>;

double mean(const Values& x) {
  double sum = 0;
  for (const double value : x) sum += value;
  return sum / static_cast<double>(x.size());
}

double sample_std(const Values& x) {
  if (x.size() < 2) return 0;
  const double centre = mean(x);
  double sum = 0;
  for (const double value : x) sum += (value - centre) * (value - centre);
  return std::sqrt(sum / static_cast<double>(x.size() - 1));
}

Values values_of(const BySeed& by_seed) {
  Values all;
  for (const auto& [seed, value] : by_seed) all.push_back(value);
  return all;
}

// How many choices of signs for d[i], d[i + 1], ... bring `sum` to a distance from 0 of at least `bound`.
int64_t flips_beyond(const Values& d, size_t i, double sum, double bound) {
  if (i == d.size()) return std::abs(sum) >= bound ? 1 : 0;
  return flips_beyond(d, i + 1, sum + d[i], bound) + flips_beyond(d, i + 1, sum - d[i], bound);
}

double sign_flip_p(const Values& d) {
  constexpr size_t kExact = 20;
  constexpr int64_t kDraws = 100'000;
  double sum = 0, size = 0;
  for (const double x : d) {
    sum += x;
    size += std::abs(x);
  }
  const double bound = std::abs(sum) - 1e-12 * size;  // sums that are equal but for rounding are equal
  if (d.size() <= kExact) {                           // the first sign held: its flip mirrors all sums
    return static_cast<double>(flips_beyond(d, 1, d[0], bound)) /
           std::exp2(static_cast<double>(d.size() - 1));
  }
  int64_t beyond = 1;  // the signs as they are
  for (int64_t i = 1; i < kDraws; ++i) {
    Draws draws(name_key("sign flips"), static_cast<uint64_t>(i));
    double flipped = 0;
    for (const double x : d) flipped += draws.bits() & 1 ? x : -x;
    beyond += std::abs(flipped) >= bound ? 1 : 0;
  }
  return static_cast<double>(beyond) / static_cast<double>(kDraws);
}

// The means of resamples of d with replacement, in order: all n^n of them where n is small.
Values bootstrap_means(const Values& d) {
  constexpr size_t kAll = 6;
  const size_t n = d.size(), all = static_cast<size_t>(std::pow(n, n) + 0.5),
               count = n <= kAll ? all : 10'000;
  Values means(count);
  for (size_t i = 0; i < count; ++i) {
    Draws draws(name_key("bootstrap"), i);
    double sum = 0;
    for (size_t k = 0, digits = i; k < n; ++k, digits /= n)
      sum += d[n <= kAll ? digits % n : static_cast<size_t>(draws.below(static_cast<int64_t>(n)))];
    means[i] = sum / static_cast<double>(n);
  }
  std::sort(means.begin(), means.end());
  return means;
}

// BCa: the quantiles of the bootstrap means that stand for 2.5 % and 97.5 % once bias (z0) and skewness (a)
// are taken out.
std::pair<double, double> bca_interval(const Values& d) {
  const boost::math::normal normal;
  const Values means = bootstrap_means(d);
  const double centre = mean(d), rounding = 1e-12 * (means.back() - means.front());
  const auto count_below = [&](double x) {
    return std::lower_bound(means.begin(), means.end(), x) - means.begin();
  };
  const double below =
      static_cast<double>(count_below(centre - rounding) + count_below(centre + rounding)) / 2;
  const double z0 = quantile(normal, below / static_cast<double>(means.size()));
  double cubes = 0,
         squares = 0;  // of the jackknife means' distances from theirs, which are those of d over n - 1
  for (const double x : d) {
    cubes += std::pow(x - centre, 3);
    squares += std::pow(x - centre, 2);
  }
  const double a = cubes / (6 * std::pow(squares, 1.5));
  const auto end = [&](double share) {
    const double z = z0 + quantile(normal, share);
    return quantile_of_sorted(means, cdf(normal, z0 + z / (1 - a * z)));
  };
  return {end(0.025), end(0.975)};
}

std::pair<double, double> t_interval(const Values& d) {
  const boost::math::students_t student(static_cast<double>(d.size() - 1));
  const double half = quantile(student, 0.975) * sample_std(d) / std::sqrt(static_cast<double>(d.size()));
  return {mean(d) - half, mean(d) + half};
}

double student_p(const Values& d) {
  const double n = static_cast<double>(d.size()), freedom = n - 1,
               t = mean(d) / (sample_std(d) / std::sqrt(n));
  return boost::math::ibeta(freedom / 2, 0.5, freedom / (freedom + t * t));  // = P(|T| > |t|)
}

}  // namespace

double mean(const BySeed& values) { return mean(values_of(values)); }

double sample_std(const BySeed& values) { return sample_std(values_of(values)); }

PairedTest paired_test(const BySeed& a, const BySeed& b) {
  constexpr size_t kBootstrap = 5;
  Values d;
  double scale = 0;
  for (const auto& [seed, value] : a) {
    const auto other = b.find(seed);
    if (other == b.end()) continue;
    d.push_back(value - other->second);
    scale = std::max({scale, std::abs(value), std::abs(other->second)});
  }
  PairedTest test;
  test.pairs = static_cast<int64_t>(d.size());
  if (d.empty()) return test;
  test.difference = mean(d);
  if (d.size() < 2) return test;
  const double rounding = 1e-13 * scale;
  const bool constant = sample_std(d) <= rounding;
  std::pair interval(test.difference, test.difference);
  if (!constant) interval = d.size() < kBootstrap ? t_interval(d) : bca_interval(d);
  test.low = interval.first;
  test.high = interval.second;
  if (d.size() < 3) return test;
  test.sign_flip = sign_flip_p(d);
  const bool equal = std::abs(test.difference) <= rounding;
  const double p_constant = equal ? 1.0 : 0.0;
  test.p = constant ? p_constant : student_p(d);
  return test;
}

void correct(const std::vector<PairedTest*>& tests) {
  std::vector<PairedTest*> order;
  for (PairedTest* test : tests)
    if (test->sign_flip) order.push_back(test);
  std::stable_sort(order.begin(), order.end(),
                   [](const auto* x, const auto* y) { return *x->sign_flip < *y->sign_flip; });
  double largest = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    largest = std::max(largest, static_cast<double>(order.size() - i) * *order[i]->sign_flip);
    order[i]->holm = std::min(1.0, largest);
  }
}

double smallest_p(int64_t pairs, int64_t variants) {
  return std::min(1.0, static_cast<double>(variants) * std::exp2(static_cast<double>(1 - pairs)));
}

int64_t pairs_for(double level, int64_t variants) {
  int64_t pairs = 1;
  while (smallest_p(pairs, variants) >= level) ++pairs;
  return pairs;
}

double quantile_of_sorted(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const size_t below = std::min(static_cast<size_t>(place), sorted.size() - 2);
  return std::lerp(sorted[below], sorted[below + 1], place - static_cast<double>(below));
}

std::string p_text(double p) { return p < 0.001 ? "< 0.001" : fmt::format("{:.3f}", p); }

}  // namespace foil
