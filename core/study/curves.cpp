// SPDX-License-Identifier: BSD-3-Clause
// Means and bands of logged numbers, and which of them share an axis.
#include "study/curves.h"

#include <algorithm>
#include <cmath>

namespace foil {
namespace {

// The value at a step between the first and the last; nothing outside.
std::optional<double> value_at(const Curve& curve, double step) {
  const auto after = std::lower_bound(curve.begin(), curve.end(), std::pair<double, double>(step, -INFINITY));
  if (after == curve.end()) return std::nullopt;
  if (after->first == step) return after->second;
  if (after == curve.begin()) return std::nullopt;
  const auto before = after - 1;
  const double share = (step - before->first) / (after->first - before->first);
  return before->second + share * (after->second - before->second);
}

struct Range {
  double low = INFINITY, high = -INFINITY;
  double length() const { return std::max(high - low, 0.01 * std::abs(high + low)); }
  Range with(const Range& other) const { return {std::min(low, other.low), std::max(high, other.high)}; }
};

Range range_of(const PlotSeries& series) {
  Range range;
  for (const auto& [step, value] : series.points) range = range.with({value, value});
  return range;
}

}  // namespace

PlotSeries over_seeds(const std::vector<Curve>& curves) {
  PlotSeries series;
  const auto shortest = std::min_element(curves.begin(), curves.end(),
                                         [](const Curve& a, const Curve& b) { return a.size() < b.size(); });
  if (shortest == curves.end()) return series;
  for (const auto& [step, ignored] : *shortest) {
    BySeed values;
    for (size_t i = 0; i < curves.size(); ++i)
      if (const auto value = value_at(curves[i], step)) values[static_cast<int64_t>(i)] = *value;
    const double centre = mean(values), spread = sample_std(values);
    series.points.emplace_back(step, centre);
    if (curves.size() > 1) series.band.emplace_back(centre - spread, centre + spread);
  }
  return series;
}

std::map<std::string, std::vector<PlotSeries>> read_all_curves(
    const Comparison& comparison, const std::function<size_t(const std::string& name)>& style_of) {
  constexpr size_t most_points = 120;
  std::map<std::string, std::vector<PlotSeries>> all;
  for (const Row& row : comparison.rows) {
    std::map<std::string, std::vector<Curve>> by_key;
    for (const auto& [seed, folder] : row.folders) {
      for (auto& [key, curve] : read_curves(folder, most_points)) by_key[key].push_back(std::move(curve));
    }
    for (const auto& [key, curves] : by_key) {
      PlotSeries& series = all[key].emplace_back(over_seeds(curves));
      series.name = row.name;
      series.style = style_of(row.name);
    }
  }
  return all;
}

std::vector<std::vector<PlotSeries>> by_scale(const std::vector<PlotSeries>& all) {
  struct Part {
    std::vector<PlotSeries> series;
    Range range;
    double shortest = INFINITY;
  };
  std::vector<Part> parts;
  for (const PlotSeries& series : all) {
    const Range own = range_of(series);
    const auto fits = [&](const Part& part) {
      return part.range.with(own).length() <= 8 * std::min(part.shortest, own.length());
    };
    auto part = std::find_if(parts.begin(), parts.end(), fits);
    if (part == parts.end()) part = parts.insert(part, Part{});
    part->series.push_back(series);
    part->range = part->range.with(own);
    part->shortest = std::min(part->shortest, own.length());
  }
  std::vector<std::vector<PlotSeries>> charts;
  for (Part& part : parts) charts.push_back(std::move(part.series));
  return charts;
}

}  // namespace foil
