// SPDX-License-Identifier: BSD-3-Clause
// SVG text, round numbers for axes, and the colours of variants.
#include "study/svg.h"

#include "run/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace foil {
namespace {

// Okabe and Ito's colours without yellow and black: told apart by colour-blind readers, on white and on dark.
constexpr const char* kColours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"};
constexpr const char* kDashes[] = {"", " stroke-dasharray=\"6 3\"", " stroke-dasharray=\"2 2\"",
                                   " stroke-dasharray=\"8 3 2 3\""};

constexpr const char* kStyle =
    "<style>.foil-plot{color:#1f2328;font:14px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace}"
    ".foil-plot text{fill:currentColor}.foil-plot .paper{fill:#fff}"
    "@media screen and (prefers-color-scheme:dark){.foil-plot{color:#e6edf3}.foil-plot .paper{fill:#0d1117}}"
    "</style>\n";

std::string number(double value) {
  return fmt::format("{:.6g}", std::round(value * 100) / 100 + 0.0);
}  // + 0.0: no "-0"

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

std::string tick_label(double value, double step) {
  if (std::abs(value) >= 1e6 || step < 1e-4) return fmt::format("{:.4g}", value);
  const int decimals = std::max(0, static_cast<int>(std::ceil(-std::log10(step) - 1e-9)));
  return fmt::format("{:.{}f}", value + 0.0, decimals);
}

double text_width(const std::string& text, double size) {
  constexpr double advance = 0.604;  // of a letter in a monospace font, against its size
  return advance * size * static_cast<double>(std::count_if(text.begin(), text.end(), [](unsigned char c) {
           return (c & 0xC0) != 0x80;
         }));
}

std::string colour(size_t style) {
  return style == kNoStyle ? "#808080" : kColours[style % std::size(kColours)];
}

std::string line_style(size_t style) {
  const char* dash = style == kNoStyle ? "" : kDashes[style / std::size(kColours) % std::size(kDashes)];
  return fmt::format("stroke=\"{}\"{}", colour(style), dash);
}

void Svg::line(double x1, double y1, double x2, double y2, const std::string& attributes) {
  body_ += fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" {}/>\n", number(x1), number(y1),
                       number(x2), number(y2), attributes);
}

void Svg::text(double x, double y, const std::string& content, const std::string& attributes) {
  body_ += fmt::format("<text x=\"{}\" y=\"{}\"{}{}>{}</text>\n", number(x), number(y),
                       attributes.empty() ? "" : " ", attributes, escape_markup(content));
}

void Svg::small(double x, double y, const std::string& content, const std::string& attributes) {
  text(x, y, content, fmt::format("font-size=\"{}\"{}{}", kSmall, attributes.empty() ? "" : " ", attributes));
}

void Svg::circle(double x, double y, double radius, const std::string& attributes) {
  body_ += fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"{}\" {}/>\n", number(x), number(y), number(radius),
                       attributes);
}

void Svg::mark(double x, double y, size_t style) {
  const std::string fill = fmt::format("fill=\"{}\" fill-opacity=\"0.8\"", colour(style));
  const size_t form = style == kNoStyle ? 0 : style / std::size(kColours) % 4;
  if (form == 0) circle(x, y, 5, fill);
  if (form == 1)
    polygon({{x - 4.5, y - 4.5}, {x + 4.5, y - 4.5}, {x + 4.5, y + 4.5}, {x - 4.5, y + 4.5}}, fill);
  if (form == 2) polygon({{x, y - 6}, {x + 6, y + 5}, {x - 6, y + 5}}, fill);
  if (form == 3) polygon({{x, y - 6.5}, {x + 6.5, y}, {x, y + 6.5}, {x - 6.5, y}}, fill);
}

void Svg::shape(const char* name, const Points& points, const std::string& attributes) {
  if (points.empty()) return;
  body_ += fmt::format("<{} points=\"", name);
  for (const auto& [x, y] : points) body_ += number(x) + "," + number(y) + " ";
  body_.back() = '"';
  body_ += " " + attributes + "/>\n";
}

void Svg::polyline(const Points& points, const std::string& attributes) {
  shape("polyline", points, "fill=\"none\" " + attributes);
}

void Svg::polygon(const Points& points, const std::string& attributes) {
  shape("polygon", points, attributes);
}

void Svg::dots(const Points& points, const std::string& attributes) {
  if (points.empty()) return;
  std::string path;
  for (const auto& [x, y] : points) path += fmt::format("M{:.1f} {:.1f}h0", x, y);
  body_ +=
      fmt::format("<path d=\"{}\" stroke-linecap=\"round\" stroke-opacity=\"0.6\" {}/>\n", path, attributes);
}

std::string Svg::finish(double width, double height, const std::string& title,
                        const std::string& description) const {
  const std::string told = description.empty() ? "" : "<desc>" + escape_markup(description) + "</desc>\n";
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"foil-plot\" width=\"{0}\" height=\"{1}\" "
      "viewBox=\"0 0 {0} {1}\" role=\"img\">\n"
      "<title>{2}</title>\n{3}{4}<rect class=\"paper\" width=\"{0}\" height=\"{1}\"/>\n{5}</svg>\n",
      number(width), number(height), escape_markup(title), told, kStyle, body_);
}

}  // namespace foil
