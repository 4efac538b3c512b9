// SPDX-License-Identifier: BSD-3-Clause
// The parts of a report that are pictures: seeds, differences, what each swept key does, time, curves.
#include "study/curves.h"
#include "study/factors.h"
#include "study/page.h"
#include "study/plot.h"
#include "study/report_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace foil {

std::string file_part(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    out += plain ? c : '-';
  }
  return out;
}

std::string figures(const std::string& title, const std::string& note, const std::string& all) {
  if (all.empty()) return "";
  return element("h2", title) + "\n" + (note.empty() ? "" : element("p", note, "note") + "\n") +
         "<div class=\"figures\">\n" + all + "</div>\n";
}

namespace {

DotCell dot_cell(const ComparisonTable& table, const TableRow& row, const std::string& metric) {
  DotCell dot{cell_text(table, row, metric)};
  const auto cell = row.cells.find(metric);
  if (cell == row.cells.end()) return dot;
  for (const auto& [seed, value] : cell->second.values) dot.points.push_back(value);
  dot.centre = cell->second.mean;
  dot.low = cell->second.mean - cell->second.spread;
  dot.high = cell->second.mean + cell->second.spread;
  dot.best = cell->second.best;
  return dot;
}

DotTable names_of(const Studied& subject, const ComparisonTable& table) {
  DotTable dots;
  for (const auto& row : table.rows) {
    dots.names.push_back(row.name);
    dots.styles.push_back(row.baseline ? kNoStyle : subject.style_of(row.name));
  }
  return dots;
}

DotColumn metric_column(const ComparisonTable& table, const std::string& metric) {
  DotColumn column{heading(table.measures.at(metric)), {}};
  for (const auto& row : table.rows) column.cells.push_back(dot_cell(table, row, metric));
  return column;
}

// Where the levels of numbers lie on an axis: by their logarithms when they span a factor of eight or more.
std::vector<std::pair<double, std::string>> marks_of(const Factor& factor) {
  const double low = factor.values.front(), high = factor.values.back();
  const bool logarithmic = low > 0 && high / low >= 8;
  std::vector<std::pair<double, std::string>> marks;
  for (size_t i = 0; i < factor.levels.size(); ++i)
    marks.emplace_back(logarithmic ? std::log10(factor.values[i]) : factor.values[i], factor.levels[i]);
  return marks;
}

std::string factor_title(const ComparisonTable& table, const Factor& factor, const std::string& metric) {
  return heading(table.measures.at(metric)) + " by " + factor.title;
}

// Of a key with numbers: the mean over the variants of each level with its band over seeds, and a dot a
// variant. Of drawn values, one a variant, the dots alone.
std::string numeric_factor(const Studied& subject, const ComparisonTable& table, const Swept& swept,
                           const Factor& factor, const std::string& metric) {
  LineChart chart{factor_title(table, factor, metric), factor.key, {}, marks_of(factor)};
  PlotSeries line{"mean over the variants"};
  for (size_t level = 0; level < factor.levels.size(); ++level) {
    const BySeed values = level_values(swept, factor, level, metric);
    if (values.empty()) continue;
    const double centre = mean(values), spread = sample_std(values);
    line.points.emplace_back(chart.x_marks[level].first, centre);
    line.band.emplace_back(centre - spread, centre + spread);
  }
  line.style = kNoStyle;
  if (swept.full) chart.series.push_back(line);
  for (size_t i = 0; i < swept.rows.size(); ++i) {
    const auto cell = swept.rows[i]->cells.find(metric);
    if (cell == swept.rows[i]->cells.end()) continue;
    const std::string& name = swept.rows[i]->name;
    const Points at = {{chart.x_marks[factor.level_of[i]].first, cell->second.mean}};
    chart.series.push_back({name, at, {}, subject.style_of(name), true});
  }
  return line_chart(chart);
}

// Of a key with texts: a line a level, a dot a variant.
std::string named_factor(const Studied& subject, const ComparisonTable& table, const Swept& swept,
                         const Factor& factor, const std::string& metric) {
  DotTable dots;
  dots.title = factor_title(table, factor, metric) + ": mean over the variants, a dot each";
  dots.head = factor.title;
  DotColumn column{heading(table.measures.at(metric)), {}};
  for (size_t level = 0; level < factor.levels.size(); ++level) {
    dots.names.push_back(label_of(factor.levels[level], subject.comparison.labels));
    dots.styles.push_back(kNoStyle);
    DotCell& dot = column.cells.emplace_back();
    BySeed means;
    for (size_t i = 0; i < swept.rows.size(); ++i) {
      const auto cell = swept.rows[i]->cells.find(metric);
      if (factor.level_of[i] != level || cell == swept.rows[i]->cells.end()) continue;
      dot.points.push_back(cell->second.mean);
      means[static_cast<int64_t>(i)] = cell->second.mean;
    }
    if (means.empty()) continue;
    dot.centre = mean(means);
    dot.text = value_text(table.measures.at(metric), *dot.centre);
  }
  dots.columns.push_back(std::move(column));
  return dot_table(dots);
}

std::string heat_map(const Studied& subject, const ComparisonTable& table, const Swept& swept,
                     const std::string& metric) {
  const Factor &down = swept.factors[0], &across = swept.factors[1];
  double low = INFINITY, high = -INFINITY;
  for (const TableRow* row : swept.rows) {
    const auto cell = row->cells.find(metric);
    if (cell == row->cells.end()) continue;
    low = std::min(low, cell->second.mean), high = std::max(high, cell->second.mean);
  }
  const Labels& labels = subject.comparison.labels;
  HtmlLines lines = {{{heading(table.measures.at(metric)) + ": " + down.title + ", " + across.title}}};
  for (const auto& level : across.levels) lines[0].push_back({label_of(level, labels)});
  for (size_t i = 0; i < down.levels.size(); ++i) {
    auto& line = lines.emplace_back();
    line.push_back({label_of(down.levels[i], labels)});
    for (size_t k = 0; k < across.levels.size(); ++k) {
      const TableRow& row = row_at(swept, i, k);
      const auto cell = row.cells.find(metric);
      HtmlCell& one = line.emplace_back(HtmlCell{cell_text(table, row, metric), "heat"});
      if (cell == row.cells.end() || !(high > low)) continue;
      one.style =
          fmt::format("background:rgba(0,114,178,{:.2f})", 0.5 * (cell->second.mean - low) / (high - low));
      if (cell->second.best) one.css_class += " best";
    }
  }
  return html_table(lines, "heat map");
}

std::string shares_table(const ComparisonTable& table, const Swept& swept) {
  HtmlLines lines = {{{"share of the variance"}}};
  std::vector<Shares> all;
  for (const auto& metric : table.headline) {
    const auto shares = variance_shares(swept, metric);
    if (!shares) continue;
    all.push_back(*shares);
    lines[0].push_back({heading(table.measures.at(metric))});
  }
  if (all.empty()) return "";
  const auto add = [&](const std::string& name, const auto& share_of) {
    auto& line = lines.emplace_back();
    line.push_back({name});
    for (const Shares& shares : all) line.push_back({fmt::format("{:.0f} %", 100 * share_of(shares))});
  };
  for (size_t i = 0; i < swept.factors.size(); ++i)
    add(swept.factors[i].key, [i](const Shares& shares) { return shares.factors[i]; });
  if (swept.factors.size() > 1) add("these together", [](const Shares& shares) { return shares.together; });
  add("seeds", [](const Shares& shares) { return shares.seeds; });
  return html_table(lines, "share of the variance") +
         element("p",
                 "Shares of the sum of squares over all trials of the grid. A key's share is its main "
                 "effect: what "
                 "its levels' means differ by, whatever the other keys are. Together: what depends on the "
                 "combination. Seeds: what differs between trials of one variant.",
                 "note") +
         "\n";
}

}  // namespace

std::string table_picture(const Studied& subject, const ComparisonTable& table) {
  DotTable dots = names_of(subject, table);
  dots.title = table.protocol.empty() ? "" : "protocol " + table.protocol;
  constexpr size_t most_columns = 3;  // so that its letters can be read where it is shown as wide as a page
  for (size_t i = 0; i < std::min(most_columns, table.headline.size()); ++i)
    dots.columns.push_back(metric_column(table, table.headline[i]));
  DotColumn n{"n", {}};
  for (const auto& row : table.rows) n.cells.push_back({std::to_string(row.n)});
  dots.columns.push_back(std::move(n));
  if (has_tests(table)) {
    DotColumn difference{difference_title(table), {}}, p{"p", {}};
    for (const auto& row : table.rows) {
      difference.cells.push_back({difference_text(table, row)});
      p.cells.push_back({p_text(table, row)});
    }
    dots.columns.push_back(std::move(difference));
    dots.columns.push_back(std::move(p));
  }
  return dot_table(dots);
}

std::string seeds_part(const Studied& subject, const ComparisonTable& table, const std::string& suffix,
                       Pictures& pictures) {
  std::string all;
  for (const auto& metric : table.headline) {
    DotTable dots = names_of(subject, table);
    dots.columns.push_back(metric_column(table, metric));
    all += pictures.add("seeds-" + file_part(metric) + suffix, dot_table(dots));
  }
  return figures(
      "Seeds",
      "A dot is a seed, the bar the mean, the line one standard deviation to each side. The axes do "
      "not start at zero.",
      all);
}

std::string differences_part(const Studied& subject, const ComparisonTable& table, const std::string& suffix,
                             Pictures& pictures) {
  std::string all;
  for (const auto& metric : table.headline) {
    DotTable dots;
    DotColumn column{heading(table.measures.at(metric)), {}, true}, p{"p", {}};
    for (const auto& row : table.rows) {
      const auto cell = row.cells.find(metric);
      if (cell == row.cells.end() || !cell->second.test || cell->second.test->pairs == 0) continue;
      const PairedTest& test = *cell->second.test;
      dots.names.push_back(row.name);
      dots.styles.push_back(subject.style_of(row.name));
      column.cells.push_back({difference_text(table, row, metric), test.difference,
                              test.low.value_or(test.difference), test.high.value_or(test.difference)});
      p.cells.push_back({p_text(table, row, metric)});
    }
    if (column.cells.empty()) continue;
    dots.columns = {std::move(column), std::move(p)};
    all += pictures.add("differences-" + file_part(metric) + suffix, dot_table(dots));
  }
  return figures(
      "Differences to " + table.reference,
      "By seed; the bar is their mean, the line its 95 % interval, not corrected for the number of "
      "variants; p is.",
      all);
}

std::string factors_part(const Studied& subject, const ComparisonTable& table, const std::string& suffix,
                         Pictures& pictures) {
  const Swept swept = swept_of(subject.comparison, table);
  if (swept.factors.empty()) return "";
  std::string maps, all;
  for (const auto& metric : table.headline) {
    if (swept.full && swept.factors.size() == 2) maps += heat_map(subject, table, swept, metric);
    for (const Factor& factor : swept.factors) {
      const bool one_each = factor.levels.size() == swept.rows.size();
      if (!factor.numeric && one_each) continue;  // that is the picture of the seeds
      all += pictures.add("by-" + file_part(factor.key) + "-" + file_part(metric) + suffix,
                          factor.numeric ? numeric_factor(subject, table, swept, factor, metric)
                                         : named_factor(subject, table, swept, factor, metric));
    }
  }
  const std::string tables = maps + shares_table(table, swept);
  if (tables.empty() && all.empty()) return "";
  return "<h2>What mattered</h2>\n" + tables + "<div class=\"figures\">\n" + all + "</div>\n";
}

std::string time_part(const Studied& subject, const ComparisonTable& table, const std::string& suffix,
                      Pictures& pictures) {
  std::string all;
  for (const auto& metric : table.headline) {
    LineChart chart{
        heading(table.measures.at(metric)) + " against time", "seconds, training and evaluation", {}};
    for (const auto& row : table.rows) {
      const auto cell = row.cells.find(metric);
      if (cell == row.cells.end()) continue;
      PlotSeries series{row.name, {}, {}, subject.style_of(row.name), true};
      for (const auto& [seed, value] : cell->second.values) {
        const auto effort = row.efforts.find(seed);
        if (effort != row.efforts.end() && effort->second.seconds > 0)
          series.points.emplace_back(effort->second.seconds, value);
      }
      if (!series.points.empty()) chart.series.push_back(std::move(series));
    }
    if (!chart.series.empty()) all += pictures.add("time-" + file_part(metric) + suffix, line_chart(chart));
    break;  // the first headline metric is the one that variants are judged by
  }
  return figures("Time", "A dot is a trial.", all);
}

std::string curves_part(const Studied& subject, Pictures& pictures) {
  const auto curves =
      read_all_curves(subject.comparison, [&](const std::string& name) { return subject.style_of(name); });
  const auto draw = [&](const std::string& key, const std::string& title) {
    const auto at = curves.find(key);
    return at == curves.end()
               ? ""
               : pictures.add("curve-" + file_part(key), line_chart({title, "step", at->second}));
  };
  std::vector<std::string> shown = {"loss", "step", "epoch", "learning_rate"};
  std::string main, collapse, parts;
  if (const auto loss = curves.find("loss"); loss != curves.end()) {
    const auto charts = by_scale(loss->second);
    for (size_t i = 0; i < charts.size(); ++i) {
      const std::string of = charts.size() == 1 ? "" : fmt::format(" {} of {}", i + 1, charts.size());
      main += pictures.add(fmt::format("curve-loss{}", charts.size() == 1 ? "" : "-" + std::to_string(i + 1)),
                           line_chart({"loss" + of, "step", charts[i]}));
    }
  }
  for (const auto& table : subject.tables) {
    for (const auto& metric : table.headline) {
      if (std::find(shown.begin(), shown.end(), metric) != shown.end()) continue;
      main += draw(metric, heading(table.measures.at(metric)) + " while training");
      shown.push_back(metric);
    }
  }
  for (const auto& [key, series] : curves) {
    if (std::find(shown.begin(), shown.end(), key) != shown.end()) continue;
    (key.starts_with("batch.") ? collapse : parts) += draw(key, key);
  }
  std::string out =
      figures("Curves",
              "A line is the mean over the seeds of a variant, the band one standard deviation to "
              "each side. Losses of different scale have axes of their own.",
              main);
  out += figures(
      "Collapse",
      "Of the projections of a batch while training: embeddings on one line have an effective rank of "
      "1, embeddings at one point a deviation of 0.",
      collapse);
  if (!parts.empty())
    out += html_details("What else was logged", "<div class=\"figures\">\n" + parts + "</div>\n");
  return out;
}

}  // namespace foil
