// SPDX-License-Identifier: BSD-3-Clause
// Lays the pictures out: axes, strips, legends.
#include "study/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace foil {
namespace {

// Eight for dots; from the ninth series on they begin again.
constexpr const char* kDotColours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                       "#E69F00", "#56B4E9", "#F0E442", "#888888"};

struct Bounds {
  double x_low = INFINITY, x_high = -INFINITY, y_low = INFINITY, y_high = -INFINITY;
  void hold(double x, double y) {
    x_low = std::min(x_low, x), x_high = std::max(x_high, x);
    y_low = std::min(y_low, y), y_high = std::max(y_high, y);
  }
};

Bounds bounds_of(const std::vector<PlotSeries>& all) {
  Bounds bounds;
  for (const auto& series : all) {
    for (size_t i = 0; i < series.points.size(); ++i) {
      const auto& [x, y] = series.points[i];
      bounds.hold(x, y);
      if (series.band.empty()) continue;
      bounds.hold(x, series.band[i].first);
      bounds.hold(x, series.band[i].second);
    }
  }
  if (bounds.x_low > bounds.x_high) bounds = {0, 0, 0, 0};
  return bounds;
}

// The bottom of the frame and its marks; a mark whose text would touch the one before is left without it.
PixelScale draw_x_axis(Svg& svg, const LineChart& chart, const Bounds& bounds, double left, double right,
                       double top, double bottom) {
  auto marks = chart.x_marks;
  PixelScale x{bounds.x_low, bounds.x_high, left, right};
  if (marks.empty()) {
    const auto round = ticks(bounds.x_low, bounds.x_high, 6);
    x.low = round.front(), x.high = round.back();
    for (const double mark : round) marks.emplace_back(mark, tick_label(mark, round[1] - round[0]));
  } else {
    x.low = std::min(x.low, marks.front().first), x.high = std::max(x.high, marks.back().first);
    const double margin = x.high > x.low ? 0.05 * (x.high - x.low) : 1;
    x.low -= margin, x.high += margin;
  }
  double free = -INFINITY;
  for (const auto& [mark, label] : marks) {
    svg.line(x(mark), top, x(mark), bottom, kFaint);
    const double half = text_width(label, kSmall) / 2;
    if (x(mark) - half < free) continue;
    svg.small(x(mark), bottom + 18, label, kMiddle);
    free = x(mark) + half + 8;
  }
  svg.line(left, bottom, right, bottom, kFirm);
  svg.text((left + right) / 2, bottom + 40, chart.x_label, kMiddle);
  return x;
}

void draw_series(Svg& svg, const PlotSeries& series, const PixelScale& x, const PixelScale& y) {
  const auto pixels = [&](const Points& points) {
    Points placed;
    for (const auto& [px, py] : points) placed.emplace_back(x(px), y(py));
    return placed;
  };
  const Points line = pixels(series.points);
  const std::string fill = fmt::format("fill=\"{}\"", colour(series.style));
  if (!series.band.empty() && line.size() > 1) {
    Points around;
    for (size_t i = 0; i < line.size(); ++i) around.emplace_back(line[i].first, y(series.band[i].first));
    for (size_t i = line.size(); i-- > 0;) around.emplace_back(line[i].first, y(series.band[i].second));
    svg.polygon(around, fill + " fill-opacity=\"0.15\"");
  }
  if (series.dots || line.size() == 1) {
    for (const auto& [px, py] : line) svg.mark(px, py, series.style);
  } else {
    svg.polyline(line, line_style(series.style) + " stroke-width=\"2\"");
  }
}

// Entries from left to right, in as many lines as they need; returns the height, and widens `width` for a
// name that needs more.
double draw_legend(Svg& svg, const std::vector<PlotSeries>& all, double left, double top, double& width) {
  double x = left, y = top;
  for (const auto& series : all) {
    if (series.name.empty()) continue;
    const double needed = 32 + text_width(series.name, kSmall) + 20;
    if (x > left && x + needed > width) x = left, y += 20;
    if (series.dots)
      svg.mark(x + 12, y - 4, series.style);
    else
      svg.line(x, y - 4, x + 24, y - 4, line_style(series.style) + " stroke-width=\"3\"");
    svg.small(x + 32, y, series.name);
    x += needed;
    width = std::max(width, x);
  }
  return x > left ? y - top + 20 : 0;
}

std::string last_values(const std::vector<PlotSeries>& all) {
  std::string text;
  for (const auto& series : all) {
    if (series.name.empty() || series.points.empty() || series.dots) continue;
    text += fmt::format("{}{} ends at {:.4g}", text.empty() ? "" : ", ", series.name,
                        series.points.back().second);
  }
  return text;
}

// The strip of one column: its axis below, then one line of dots per row.
void draw_strip(Svg& svg, const DotTable& table, const DotColumn& column, double left, double width,
                double top, double row_height) {
  double low = column.zero ? 0 : INFINITY, high = column.zero ? 0 : -INFINITY;
  for (const auto& cell : column.cells) {
    if (!cell.centre) continue;
    low = std::min({low, *cell.centre, cell.high > cell.low ? cell.low : *cell.centre});
    high = std::max({high, *cell.centre, cell.high > cell.low ? cell.high : *cell.centre});
    for (const double point : cell.points) low = std::min(low, point), high = std::max(high, point);
  }
  const auto marks = ticks(low, high, 4);
  const PixelScale x{marks.front(), marks.back(), left, left + width};
  const double bottom = top + row_height * static_cast<double>(column.cells.size());
  for (const double mark : marks) {
    svg.line(x(mark), top, x(mark), bottom, kFaint);
    svg.small(x(mark), bottom + 16, tick_label(mark, marks[1] - marks[0]), kMiddle);
  }
  if (column.zero) svg.line(x(0), top, x(0), bottom, kFirm + " stroke-width=\"1.5\"");
  for (size_t row = 0; row < column.cells.size(); ++row) {
    const DotCell& cell = column.cells[row];
    if (!cell.centre) continue;
    const double y = top + row_height * (static_cast<double>(row) + 0.5);
    const std::string stroke = fmt::format("stroke=\"{}\"", colour(table.styles.at(row)));
    const std::string fill = fmt::format("fill=\"{}\" fill-opacity=\"0.5\"", colour(table.styles.at(row)));
    if (cell.high > cell.low) svg.line(x(cell.low), y, x(cell.high), y, stroke + " stroke-width=\"2\"");
    svg.line(x(*cell.centre), y - 8, x(*cell.centre), y + 8, stroke + " stroke-width=\"3\"");
    for (const double point : cell.points) svg.circle(x(point), y, 4, fill);
  }
}

}  // namespace

std::string line_chart(const LineChart& chart) {
  constexpr double left = 70, top = 40, right = 500, bottom = 290;
  const Bounds bounds = bounds_of(chart.series);
  Svg svg;
  svg.text(16, 22, chart.title, kBold);
  const PixelScale x = draw_x_axis(svg, chart, bounds, left, right, top, bottom);
  const auto marks = ticks(bounds.y_low, bounds.y_high, 6);
  const PixelScale y{marks.front(), marks.back(), bottom, top};
  for (const double mark : marks) {
    svg.line(left, y(mark), right, y(mark), kFaint);
    svg.small(left - 8, y(mark) + 4, tick_label(mark, marks[1] - marks[0]), kEnd);
  }
  svg.line(left, top, left, bottom, kFirm);
  for (const auto& series : chart.series) draw_series(svg, series, x, y);
  double width = std::max(right + 32, 16 + text_width(chart.title) * 1.02 + 12);
  const double legend = draw_legend(svg, chart.series, 16, bottom + 66, width);
  return svg.finish(width, bottom + 52 + legend, chart.title, last_values(chart.series));
}

std::string dot_table(const DotTable& table) {
  constexpr double margin = 16, row_height = 28, gap = 24, strip_width = 220;
  constexpr size_t longest_title = 100;  // letters; the picture would be as wide as a longer one
  const bool titled = !table.title.empty() && table.title.size() <= longest_title;
  const double top = titled ? 66 : 40;
  const auto baseline = [&](size_t row) { return top + row_height * (static_cast<double>(row) + 0.5) + 5; };
  Svg svg;
  if (titled) svg.small(margin, 24, table.title, "fill-opacity=\"0.8\"");
  double x = margin, names_width = text_width(table.head);
  svg.text(x, top - 12, table.head, kBold);
  for (size_t row = 0; row < table.names.size(); ++row) {
    svg.text(x, baseline(row), table.names[row]);
    names_width = std::max(names_width, text_width(table.names[row]));
  }
  x += names_width + gap;
  bool any_strip = false;
  std::string description;
  for (const auto& column : table.columns) {
    const bool strip = std::any_of(column.cells.begin(), column.cells.end(),
                                   [](const DotCell& cell) { return cell.centre.has_value(); });
    any_strip = any_strip || strip;
    double width = text_width(column.title);
    svg.text(x, top - 12, column.title, kBold);
    for (size_t row = 0; row < column.cells.size(); ++row) {
      const DotCell& cell = column.cells[row];
      svg.text(x, baseline(row), cell.text, cell.best ? kBold : "");
      width = std::max(width, text_width(cell.text));
      if (strip && !cell.text.empty()) description += table.names[row] + " " + cell.text + "; ";
    }
    x += width + gap;
    if (!strip) continue;
    draw_strip(svg, table, column, x, strip_width, top, row_height);
    x += strip_width + gap;
  }
  const double bottom = top + row_height * static_cast<double>(table.names.size());
  svg.line(margin, top - 3, x - gap, top - 3, kFirm);
  svg.line(margin, bottom, x - gap, bottom, kFirm);
  const double width = std::max(x, titled ? margin + text_width(table.title, kSmall) + margin : 0);
  const std::string of = table.columns.empty() ? "" : table.columns.front().title;
  return svg.finish(width, bottom + (any_strip ? 30 : 12), table.title.empty() ? of : table.title,
                    description);
}

std::string scatter_plot(const ScatterPlot& plot) {
  constexpr double left = 40, top = 36, size = 400, dot = 4;
  const Bounds bounds = bounds_of(plot.series);
  double span = std::max(bounds.x_high - bounds.x_low, bounds.y_high - bounds.y_low);
  if (!(span > 0)) span = 1;
  const double x_middle = (bounds.x_low + bounds.x_high) / 2, y_middle = (bounds.y_low + bounds.y_high) / 2;
  const PixelScale x{x_middle - span / 2, x_middle + span / 2, left + dot, left + size - dot},
      y{y_middle - span / 2, y_middle + span / 2, top + size - dot, top + dot};
  Svg svg;
  svg.text(left, 22, plot.title, kBold);
  svg.line(left, top + size, left + size, top + size, kFirm);
  svg.line(left, top, left, top + size, kFirm);
  svg.text(left + size / 2, top + size + 20, plot.x_label, kMiddle);
  svg.text(24, top + size / 2, plot.y_label,
           fmt::format("{} transform=\"rotate(-90 24 {})\"", kMiddle, top + size / 2));
  double legend_width = 0;
  for (size_t i = 0; i < plot.series.size(); ++i) {
    const PlotSeries& series = plot.series[i];
    const char* fill = kDotColours[i % std::size(kDotColours)];
    Points placed;
    for (const auto& [px, py] : series.points) placed.emplace_back(x(px), y(py));
    svg.dots(placed, fmt::format("stroke=\"{}\" stroke-width=\"{}\"", fill, dot));
    const double at = top + 10 + 20 * static_cast<double>(i);
    svg.circle(left + size + 24, at, 5, fmt::format("fill=\"{}\"", fill));
    svg.text(left + size + 36, at + 4, series.name);
    legend_width = std::max(legend_width, 36 + text_width(series.name));
  }
  const double height = std::max(top + size, top + 20 * static_cast<double>(plot.series.size()));
  return svg.finish(std::max(left + size + legend_width, left + text_width(plot.title)) + 20, height + 32,
                    plot.title);
}

}  // namespace foil
