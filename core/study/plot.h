// SPDX-License-Identifier: BSD-3-Clause
// Three pictures as SVG text: lines over steps, a table with a strip of points beside each number, and points
// in the plane. Each is a complete <svg> that stands alone or inline in HTML, follows the reader's light or
// dark scheme, and refers to nothing outside itself.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace foil {

// Text for HTML and XML, in an element or a quoted attribute: markup escaped, control characters made blanks.
std::string escape_markup(const std::string& text);

struct PlotSeries {
  std::string name;  // series of one name share a colour and a legend entry
  std::vector<std::pair<double, double>> points;
};

struct LineChart {
  std::string title, x_label, y_label;
  std::vector<PlotSeries> series;
};

std::string line_chart(const LineChart& chart);

// One number of a DotTable: its text, and the points that stand behind it.
struct DotCell {
  std::string text;
  std::vector<double> points;  // none: text only
  double mean = 0, spread = 0;
  bool best = false;
};

// A column whose cells have points gets a strip with an axis: a dot per point, a bar at the mean, a whisker
// of the spread. The axis spans the points and does not start at zero: differences are what is compared, so
// no length stands for a value.
struct DotColumn {
  std::string title;
  std::vector<DotCell> cells;
};

struct DotTable {
  std::string title;
  std::vector<std::string> names;  // of the rows
  std::vector<DotColumn> columns;  // one cell per row
};

std::string dot_table(const DotTable& table);

// Points in the plane, a colour a series; both axes have one scale and no numbers, for only distances matter.
struct ScatterPlot {
  std::string title, x_label, y_label;
  std::vector<PlotSeries> series;
};

std::string scatter_plot(const ScatterPlot& plot);

// Round numbers that span [low, high], at most `count` + 1 of them, 1, 2 or 5 times a power of ten apart; the
// first is not above low and the last not below high. Equal bounds are widened.
std::vector<double> ticks(double low, double high, int count);

}  // namespace foil
