// SPDX-License-Identifier: BSD-3-Clause
// The pictures, as SVG text: lines with a band or dots on two axes, a table with a strip of points or an
// interval beside each number, and points in the plane.
#pragma once

#include "study/svg.h"

#include <optional>
#include <string>
#include <vector>

namespace foil {

struct PlotSeries {
  std::string name;
  Points points = {};
  Points band = {};  // low and high at each point; empty: none
  size_t style = 0;
  bool dots = false;  // points by themselves, no line through them
};

struct LineChart {
  std::string title, x_label;  // the title says what the y axis is
  std::vector<PlotSeries> series;
  std::vector<std::pair<double, std::string>> x_marks = {};  // instead of round numbers; ascending
};

// The legend stands below, an entry a series that has a name.
std::string line_chart(const LineChart& chart);

// One number of a DotTable: its text and, where it has a centre, what is drawn beside it.
struct DotCell {
  std::string text;
  std::optional<double> centre = std::nullopt;  // a bar
  double low = 0, high = 0;                     // the whisker, when it has a length
  std::vector<double> points = {};              // a dot each
  bool best = false;
};

// A column in which a cell has a centre gets a strip with an axis. The axis spans what is drawn and does not
// start at zero: differences are what is compared, so no length stands for a value.
struct DotColumn {
  std::string title;
  std::vector<DotCell> cells;
  bool zero = false;  // the axis holds 0, and a line stands there
};

struct DotTable {
  std::string title;               // a long one is not shown, but told to who cannot see
  std::vector<std::string> names;  // of the rows
  std::vector<size_t> styles;      // of the rows
  std::vector<DotColumn> columns;  // one cell per row
  std::string head = "variant";    // of the names
};

std::string dot_table(const DotTable& table);

// Points in the plane, a colour a series; both axes have one scale and no numbers, for only distances matter.
struct ScatterPlot {
  std::string title, x_label, y_label;
  std::vector<PlotSeries> series;
};

std::string scatter_plot(const ScatterPlot& plot);

}  // namespace foil
