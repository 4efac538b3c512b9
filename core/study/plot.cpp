// SPDX-License-Identifier: BSD-3-Clause
// The SVG writer.
#include "study/plot.h"

#include "run/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace foil {
namespace {

// Okabe and Ito's colours without yellow and black: told apart by colour-blind readers, on white and on dark.
constexpr const char* colours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"};
// The same and two more for dots; from the ninth series on they begin again.
constexpr const char* dot_colours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                       "#E69F00", "#56B4E9", "#F0E442", "#888888"};
constexpr const char* dashes[] = {"", " stroke-dasharray=\"6 3\"", " stroke-dasharray=\"2 2\"",
                                  " stroke-dasharray=\"8 3 2 3\""};

constexpr const char* style =
    "<style>.foil-plot{color:#1f2328;font:13px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace}"
    ".foil-plot text{fill:currentColor}.foil-plot .paper{fill:#fff}"
    "@media(prefers-color-scheme:dark){.foil-plot{color:#e6edf3}.foil-plot .paper{fill:#0d1117}}</style>\n";
constexpr double character = 7.85;  // width of one in 13 px monospace

std::string number(double value) {
  return fmt::format("{:.6g}", std::round(value * 100) / 100 + 0.0);
}  // + 0.0: no "-0"

double text_width(const std::string& text) {
  return character * static_cast<double>(std::count_if(text.begin(), text.end(),
                                                       [](unsigned char c) { return (c & 0xC0) != 0x80; }));
}

struct Scale {  // data to pixels
  double low, high, from, to;
  double operator()(double value) const { return from + (value - low) / (high - low) * (to - from); }
};

class Svg {
 public:
  void line(double x1, double y1, double x2, double y2, const std::string& attributes) {
    body_ += fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" {}/>\n", number(x1), number(y1),
                         number(x2), number(y2), attributes);
  }
  void text(double x, double y, const std::string& content, const std::string& attributes = "") {
    body_ += fmt::format("<text x=\"{}\" y=\"{}\"{}{}>{}</text>\n", number(x), number(y),
                         attributes.empty() ? "" : " ", attributes, escape_markup(content));
  }
  void circle(double x, double y, double radius, const std::string& attributes) {
    body_ += fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"{}\" {}/>\n", number(x), number(y), number(radius),
                         attributes);
  }
  void polyline(const std::vector<std::pair<double, double>>& points, const std::string& attributes) {
    body_ += "<polyline points=\"";
    for (const auto& [x, y] : points) body_ += number(x) + "," + number(y) + " ";
    body_.back() = '"';
    body_ += " fill=\"none\" " + attributes + "/>\n";
  }
  void dots(const std::string& path, const std::string& attributes) {
    if (!path.empty())
      body_ += fmt::format("<path d=\"{}\" stroke-linecap=\"round\" stroke-opacity=\"0.6\" {}/>\n", path,
                           attributes);
  }
  std::string finish(double width, double height, const std::string& title) const {
    return fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"foil-plot\" width=\"{0}\" height=\"{1}\" "
        "viewBox=\"0 0 {0} {1}\" "
        "role=\"img\">\n"
        "<title>{2}</title>\n{3}<rect class=\"paper\" width=\"{0}\" height=\"{1}\"/>\n{4}</svg>\n",
        number(width), number(height), escape_markup(title), style, body_);
  }

 private:
  std::string body_;
};

const std::string faint = "stroke=\"currentColor\" stroke-opacity=\"0.15\"";
const std::string firm = "stroke=\"currentColor\" stroke-opacity=\"0.6\"";
const std::string middle = "text-anchor=\"middle\"";
const std::string end = "text-anchor=\"end\"";

// Labels of ticks with the decimals that their distance needs.
std::string tick_label(double value, double step) {
  if (std::abs(value) >= 1e6 || step < 1e-4) return fmt::format("{:.4g}", value);
  const int decimals = std::max(0, static_cast<int>(std::ceil(-std::log10(step) - 1e-9)));
  return fmt::format("{:.{}f}", value + 0.0, decimals);
}

std::vector<std::string> distinct_names(const std::vector<PlotSeries>& series) {
  std::vector<std::string> names;
  for (const auto& s : series) {
    if (std::find(names.begin(), names.end(), s.name) == names.end()) names.push_back(s.name);
  }
  return names;
}

std::string line_style(size_t index) {
  return fmt::format("stroke=\"{}\"{}", colours[index % std::size(colours)],
                     dashes[index / std::size(colours) % std::size(dashes)]);
}

// The strip of one column: its axis below, then one line of dots per row.
void draw_strip(Svg& svg, const DotColumn& column, double left, double width, double top, double row_height) {
  double low = INFINITY, high = -INFINITY;
  for (const auto& cell : column.cells) {
    for (const double point : cell.points) {
      low = std::min({low, point, cell.mean - cell.spread});
      high = std::max({high, point, cell.mean + cell.spread});
    }
  }
  const auto marks = ticks(low, high, 4);
  const Scale x{marks.front(), marks.back(), left, left + width};
  const double bottom = top + row_height * static_cast<double>(column.cells.size());
  for (const double mark : marks) {
    svg.line(x(mark), top, x(mark), bottom, faint);
    svg.text(x(mark), bottom + 16, tick_label(mark, marks[1] - marks[0]), middle + " font-size=\"11\"");
  }
  for (size_t row = 0; row < column.cells.size(); ++row) {
    const DotCell& cell = column.cells[row];
    if (cell.points.empty()) continue;
    const double y = top + row_height * (static_cast<double>(row) + 0.5);
    const std::string colour = cell.best ? colours[1] : colours[0];
    if (cell.spread > 0) {
      svg.line(x(cell.mean - cell.spread), y, x(cell.mean + cell.spread), y,
               fmt::format("stroke=\"{}\" stroke-width=\"2\"", colour));
    }
    svg.line(x(cell.mean), y - 8, x(cell.mean), y + 8,
             fmt::format("stroke=\"{}\" stroke-width=\"3\"", colour));
    for (const double point : cell.points)
      svg.circle(x(point), y, 4, fmt::format("fill=\"{}\" fill-opacity=\"0.5\"", colour));
  }
}

}  // namespace

std::string escape_markup(const std::string& given) {
  std::string escaped;
  const std::string text = printable_lines(given);  // an SVG with another byte in it is no picture
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += c == '\t' ? ' ' : c;
    }
  }
  return escaped;
}

std::vector<double> ticks(double low, double high, int count) {
  if (!(high > low)) {
    const double margin = low == 0 ? 1 : std::abs(low) * 0.01;
    low -= margin;
    high += margin;
  }
  const double power = std::pow(10, std::floor(std::log10((high - low) / count)));
  for (const double factor : {1.0, 2.0, 5.0, 10.0, 20.0}) {
    const double step = factor * power;
    const double first = std::floor(low / step + 1e-9), last = std::ceil(high / step - 1e-9);
    if (last - first > count) continue;
    std::vector<double> marks;
    for (double i = first; i <= last; ++i) marks.push_back(i * step);
    return marks;
  }
  return {low, high};
}

std::string line_chart(const LineChart& chart) {
  constexpr double left = 70, top = 36, plot_width = 520, plot_height = 260, right = left + plot_width,
                   bottom = top + plot_height;
  double x_low = INFINITY, x_high = -INFINITY, y_low = INFINITY, y_high = -INFINITY;
  for (const auto& series : chart.series) {
    for (const auto& [x, y] : series.points) {
      x_low = std::min(x_low, x), x_high = std::max(x_high, x);
      y_low = std::min(y_low, y), y_high = std::max(y_high, y);
    }
  }
  if (x_low > x_high) x_low = y_low = 0, x_high = y_high = 1;
  const auto x_marks = ticks(x_low, x_high, 6), y_marks = ticks(y_low, y_high, 6);
  const Scale x{x_marks.front(), x_marks.back(), left, right},
      y{y_marks.front(), y_marks.back(), bottom, top};

  Svg svg;
  svg.text(left, 22, chart.title, "font-weight=\"bold\"");
  for (const double mark : x_marks) {
    svg.line(x(mark), top, x(mark), bottom, faint);
    svg.text(x(mark), bottom + 18, tick_label(mark, x_marks[1] - x_marks[0]), middle + " font-size=\"11\"");
  }
  for (const double mark : y_marks) {
    svg.line(left, y(mark), right, y(mark), faint);
    svg.text(left - 8, y(mark) + 4, tick_label(mark, y_marks[1] - y_marks[0]), end + " font-size=\"11\"");
  }
  svg.line(left, bottom, right, bottom, firm);
  svg.line(left, top, left, bottom, firm);
  svg.text((left + right) / 2, bottom + 38, chart.x_label, middle);
  svg.text(16, (top + bottom) / 2, chart.y_label,
           fmt::format("{} transform=\"rotate(-90 16 {})\"", middle, number((top + bottom) / 2)));

  const auto names = distinct_names(chart.series);
  for (const auto& series : chart.series) {
    if (series.points.empty()) continue;
    const size_t index = std::find(names.begin(), names.end(), series.name) - names.begin();
    std::vector<std::pair<double, double>> pixels;
    for (const auto& [px, py] : series.points) pixels.emplace_back(x(px), y(py));
    if (pixels.size() == 1)
      svg.circle(pixels[0].first, pixels[0].second, 3,
                 fmt::format("fill=\"{}\"", colours[index % std::size(colours)]));
    if (pixels.size() > 1)
      svg.polyline(pixels, line_style(index) + " stroke-width=\"1.5\" stroke-opacity=\"0.85\"");
  }
  double legend_width = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    const double at = top + 10 + 20 * static_cast<double>(i);
    svg.line(right + 16, at, right + 40, at, line_style(i) + " stroke-width=\"3\"");
    svg.text(right + 48, at + 4, names[i]);
    legend_width = std::max(legend_width, 48 + text_width(names[i]));
  }
  return svg.finish(right + legend_width + 20,
                    std::max(bottom + 50, top + 20 * static_cast<double>(names.size()) + 20), chart.title);
}

std::string dot_table(const DotTable& table) {
  constexpr double margin = 16, row_height = 28, gap = 24, strip_width = 220;
  const double top = table.title.empty() ? 40 : 66;
  const auto baseline = [&](size_t row) { return top + row_height * (static_cast<double>(row) + 0.5) + 5; };
  const auto has_points = [](const DotCell& cell) { return !cell.points.empty(); };
  Svg svg;
  if (!table.title.empty()) svg.text(margin, 24, table.title, "font-size=\"11\" fill-opacity=\"0.8\"");
  double x = margin, names_width = text_width("variant");
  svg.text(x, top - 12, "variant", "font-weight=\"bold\"");
  for (size_t row = 0; row < table.names.size(); ++row) {
    svg.text(x, baseline(row), table.names[row]);
    names_width = std::max(names_width, text_width(table.names[row]));
  }
  x += names_width + gap;
  bool any_strip = false;
  for (const auto& column : table.columns) {
    const bool strip = std::any_of(column.cells.begin(), column.cells.end(), has_points);
    any_strip = any_strip || strip;
    double width = text_width(column.title);
    svg.text(x, top - 12, column.title, "font-weight=\"bold\"");
    for (size_t row = 0; row < column.cells.size(); ++row) {
      const DotCell& cell = column.cells[row];
      svg.text(x, baseline(row), cell.text, cell.best ? "font-weight=\"bold\"" : "");
      width = std::max(width, text_width(cell.text));
    }
    x += width + gap;
    if (!strip) continue;
    draw_strip(svg, column, x, strip_width, top, row_height);
    x += strip_width + gap;
  }
  const double bottom = top + row_height * static_cast<double>(table.names.size());
  svg.line(margin, top - 3, x - gap, top - 3, firm);
  svg.line(margin, bottom, x - gap, bottom, firm);
  const double width = std::max(x - gap, margin + text_width(table.title) * 11 / 13) + margin;
  return svg.finish(width, bottom + (any_strip ? 30 : 12), table.title.empty() ? "comparison" : table.title);
}

std::string scatter_plot(const ScatterPlot& plot) {
  constexpr double left = 40, top = 36, size = 400, dot = 4;
  double x_low = INFINITY, x_high = -INFINITY, y_low = INFINITY, y_high = -INFINITY;
  for (const auto& series : plot.series) {
    for (const auto& [x, y] : series.points) {
      x_low = std::min(x_low, x), x_high = std::max(x_high, x);
      y_low = std::min(y_low, y), y_high = std::max(y_high, y);
    }
  }
  if (x_low > x_high) x_low = x_high = y_low = y_high = 0;
  double span = std::max(x_high - x_low, y_high - y_low);
  if (!(span > 0)) span = 1;
  const double x_middle = (x_low + x_high) / 2, y_middle = (y_low + y_high) / 2;
  const Scale x{x_middle - span / 2, x_middle + span / 2, left + dot, left + size - dot},
      y{y_middle - span / 2, y_middle + span / 2, top + size - dot, top + dot};
  Svg svg;
  svg.text(left, 22, plot.title, "font-weight=\"bold\"");
  svg.line(left, top + size, left + size, top + size, firm);
  svg.line(left, top, left, top + size, firm);
  svg.text(left + size / 2, top + size + 20, plot.x_label, middle);
  svg.text(24, top + size / 2, plot.y_label,
           fmt::format("{} transform=\"rotate(-90 24 {})\"", middle, number(top + size / 2)));
  double legend_width = 0;
  for (size_t i = 0; i < plot.series.size(); ++i) {
    const PlotSeries& series = plot.series[i];
    std::string path;  // a line of no length with round ends is a dot
    for (const auto& [px, py] : series.points) path += fmt::format("M{:.1f} {:.1f}h0", x(px), y(py));
    const char* colour = dot_colours[i % std::size(dot_colours)];
    svg.dots(path, fmt::format("stroke=\"{}\" stroke-width=\"{}\"", colour, dot));
    const double at = top + 10 + 20 * static_cast<double>(i);
    svg.circle(left + size + 24, at, 5, fmt::format("fill=\"{}\"", colour));
    svg.text(left + size + 36, at + 4, series.name);
    legend_width = std::max(legend_width, 36 + text_width(series.name));
  }
  const double height = std::max(top + size, top + 20 * static_cast<double>(plot.series.size()));
  return svg.finish(std::max(left + size + legend_width, left + text_width(plot.title)) + 20, height + 32,
                    plot.title);
}

}  // namespace foil
