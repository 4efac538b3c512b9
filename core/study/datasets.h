// SPDX-License-Identifier: BSD-3-Clause
// One comparison over several data sets, after Agarwal et al., "Deep Reinforcement Learning at the Edge of
// the Statistical Precipice", 2021 (rliable): a mean over data sets hides, an interquartile mean and the
// probability of improvement with their intervals do not.
#pragma once

#include "study/table.h"

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace foil {

using Strata = std::vector<std::vector<double>>;  // the values of each data set

// The mean of the middle half of all values together: a quarter of them, rounded down, is cut off at each
// end.
double interquartile_mean(const Strata& values);

// The mean over data sets of P(a > b), a value of a against one of b of the same data set; ties count half.
double improvement_probability(const Strata& a, const Strata& b);

// The 95 % percentile interval of a statistic over 2,000 keyed resamples within each data set. Every element
// of `groups` is resampled by itself.
std::pair<double, double> stratified_interval(
    const std::vector<Strata>& groups, const std::function<double(const std::vector<Strata>&)>& statistic);

struct Pooled {
  struct Row {
    std::string variant;
    double middle = 0, low = 0, high = 0;  // the interquartile mean
    std::optional<double> improvement;     // over the reference; none of the reference itself
    double improvement_low = 0, improvement_high = 0;
  };
  std::string metric, reference;  // no reference where the tables differ in it
  Measure measure;
  int64_t data_sets = 0;
  std::vector<Row> rows;  // the variants that every data set has
};

// One for each headline metric that all tables have in one unit; none unless every table is of another data
// set. Scores are taken as they are, so that the unit must mean the same on each.
std::vector<Pooled> pool(const std::vector<ComparisonTable>& tables);

// A header and a line a variant.
std::vector<std::vector<std::string>> pooled_grid(const Pooled& pooled);
std::string pooled_note(const Pooled& pooled);

}  // namespace foil
