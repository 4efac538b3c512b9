// SPDX-License-Identifier: BSD-3-Clause
// What trials logged while they trained, as one line a variant with a band over its seeds.
#pragma once

#include "study/comparison.h"
#include "study/plot.h"
#include "study/trial_results.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace foil {

// The mean of curves over the steps of the shortest of them, and one sample standard deviation to each side;
// no band of one curve. Between its steps a curve is a straight line; where it has ended it does not count.
PlotSeries over_seeds(const std::vector<Curve>& curves);

// For each key of the trials' metrics.jsonl a series for each variant that logged it.
std::map<std::string, std::vector<PlotSeries>> read_all_curves(
    const Comparison& comparison, const std::function<size_t(const std::string& name)>& style_of);

// Parts them, so that on an axis that holds all of a part each line fills at least an eighth of the height: a
// line that would look level there gets another. One that hardly moves counts as if by a fiftieth.
std::vector<std::vector<PlotSeries>> by_scale(const std::vector<PlotSeries>& all);

}  // namespace foil
