// SPDX-License-Identifier: BSD-3-Clause
// The parts of a report that say what was told from what: ROC curves and confusions.
#include "study/curves.h"
#include "study/page.h"
#include "study/plot.h"
#include "study/report_parts.h"

#include <fmt/format.h>

#include <algorithm>

namespace foil {
namespace {

// The curve at 0, .01, ..., 1 of false positives. Where it rises straight up, its upper end.
Curve resampled(const Curve& roc) {
  constexpr int kParts = 100;
  Curve even;
  size_t next = 0;
  for (int i = 0; i <= kParts; ++i) {
    const double x = static_cast<double>(i) / kParts;
    while (next < roc.size() && roc[next].first <= x) ++next;  // the first point beyond x
    if (next == 0) continue;
    const auto& [x0, y0] = roc[next - 1];
    const bool last = next == roc.size();
    even.emplace_back(x, last ? y0 : y0 + (x - x0) / (roc[next].first - x0) * (roc[next].second - y0));
  }
  return even;
}

std::string roc_charts(const Studied& subject, const ComparisonTable& table, const std::string& suffix,
                       Pictures& pictures) {
  std::string all;
  for (const auto& metric : table.metrics) {
    LineChart chart{table.measures.at(metric).title + ": true positives", "false positives", {}};
    for (const auto& row : table.rows) {
      const auto found = row.outcomes.roc.find(metric);
      if (found == row.outcomes.roc.end()) continue;
      std::vector<Curve> curves;
      for (const Curve& roc : found->second) curves.push_back(resampled(roc));
      PlotSeries& series = chart.series.emplace_back(over_seeds(curves));
      series.name = row.name;
      series.style = row.baseline ? kNoStyle : subject.style_of(row.name);
    }
    if (!chart.series.empty()) all += pictures.add("roc-" + file_part(metric) + suffix, line_chart(chart));
  }
  return all;
}

// Of all trials together, in percent of each class.
std::string confusion_table(const std::string& name, const std::vector<Counts>& trials) {
  const size_t classes = trials[0].size();
  HtmlLines lines = {{{name + ": class, found to be"}}};
  for (size_t c = 0; c < classes; ++c) lines[0].push_back({std::to_string(c)});
  for (size_t c = 0; c < classes; ++c) {
    std::vector<double> counts(classes);
    double all = 0;
    for (const Counts& trial : trials) {
      for (size_t k = 0; k < classes; ++k) {
        counts[k] += static_cast<double>(trial.at(c).at(k));
        all += static_cast<double>(trial[c][k]);
      }
    }
    auto& line = lines.emplace_back();
    line.push_back({std::to_string(c)});
    for (size_t k = 0; k < classes; ++k) {
      const double share = all > 0 ? counts[k] / all : 0;
      line.push_back({share > 0 ? fmt::format("{:.1f}", 100 * share) : "", "heat",
                      share > 0 ? fmt::format("background:rgba(0,114,178,{:.2f})", 0.5 * share) : ""});
    }
  }
  return html_table(lines, "confusion of " + name);
}

bool is_square(const Counts& counts, size_t classes) {
  return counts.size() == classes &&
         std::all_of(counts.begin(), counts.end(), [&](const auto& row) { return row.size() == classes; });
}

std::string confusions(const ComparisonTable& table) {
  for (const auto& metric : table.headline) {
    std::string all;
    for (const auto& row : table.rows) {
      const auto found = row.outcomes.confusion.find(metric);
      if (found == row.outcomes.confusion.end()) continue;
      std::vector<Counts> trials = found->second;
      const size_t classes = trials[0].size();
      std::erase_if(trials, [&](const Counts& counts) { return !is_square(counts, classes); });
      if (!trials.empty()) all += confusion_table(row.name, trials);
    }
    if (!all.empty())
      return html_details("What was taken for what",
                          element("p",
                                  "By " + table.measures.at(metric).title +
                                      ", in percent of the test samples of each class, "
                                      "all seeds together.",
                                  "note") +
                              "\n" + all);
  }
  return "";
}

}  // namespace

std::string outcomes_part(const Studied& subject, const ComparisonTable& table, const std::string& suffix,
                          Pictures& pictures) {
  return figures(
             "ROC",
             "Pairs that belong together, told from others by their similarity. A line is the mean over the "
             "seeds of a variant, the band one standard deviation to each side.",
             roc_charts(subject, table, suffix, pictures)) +
         confusions(table);
}

}  // namespace foil
