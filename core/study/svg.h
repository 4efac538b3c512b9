// SPDX-License-Identifier: BSD-3-Clause
// The pen of the pictures: an <svg> that stands alone or inline in HTML, follows the reader's light or dark
// scheme on a screen, is light on paper, and refers to nothing outside itself.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace foil {

// Text for HTML and XML, in an element or a quoted attribute: markup escaped, control characters made blanks.
std::string escape_markup(const std::string& text);

// Round numbers that span [low, high], at most `count` + 1 of them, 1, 2 or 5 times a power of ten apart; the
// first is not above low and the last not below high. Equal bounds are widened.
std::vector<double> ticks(double low, double high, int count);
// The text of a tick, with the decimals that the distance to its neighbour needs.
std::string tick_label(double value, double step);

// Sizes of letters in pixels: of names and numbers, and of what stands at an axis.
constexpr double kText = 14, kSmall = 12;
double text_width(const std::string& text, double size = kText);

// How a variant looks in every picture: a colour, from the seventh on with a dash or another dot. kNoStyle is
// grey, of what was not trained.
constexpr size_t kNoStyle = static_cast<size_t>(-1);
std::string colour(size_t style);
std::string line_style(size_t style);  // attributes of a stroke

// Data to pixels.
struct PixelScale {
  double low, high, from, to;
  double operator()(double value) const { return from + (value - low) / (high - low) * (to - from); }
};

using Points = std::vector<std::pair<double, double>>;

// Shapes in the order in which they are painted; coordinates in pixels, attributes as SVG has them.
class Svg {
 public:
  void line(double x1, double y1, double x2, double y2, const std::string& attributes);
  void text(double x, double y, const std::string& content, const std::string& attributes = "");
  void small(double x, double y, const std::string& content, const std::string& attributes = "");
  void circle(double x, double y, double radius, const std::string& attributes);
  // The dot of a variant: round, from the seventh style on a square, then a triangle, then a diamond.
  void mark(double x, double y, size_t style);
  void polyline(const Points& points, const std::string& attributes);
  void polygon(const Points& points, const std::string& attributes);
  // Dots as one path: a line of no length with round ends is one.
  void dots(const Points& points, const std::string& attributes);
  // `title` names the picture to who cannot see it, `description` says what it shows.
  std::string finish(double width, double height, const std::string& title,
                     const std::string& description = "") const;

 private:
  void shape(const char* name, const Points& points, const std::string& attributes);
  std::string body_;
};

// Attributes that the pictures share.
inline const std::string kFaint = "stroke=\"currentColor\" stroke-opacity=\"0.15\"";
inline const std::string kFirm = "stroke=\"currentColor\" stroke-opacity=\"0.6\"";
inline const std::string kMiddle = "text-anchor=\"middle\"";
inline const std::string kEnd = "text-anchor=\"end\"";
inline const std::string kBold = "font-weight=\"bold\"";

}  // namespace foil
