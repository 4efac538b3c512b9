// SPDX-License-Identifier: BSD-3-Clause
// The SVG writer: coordinates of known series, ticks, escaping.
#include "study/plot.h"

#include <gtest/gtest.h>

#include <regex>

namespace {

std::vector<std::string> matches(const std::string& text, const std::string& pattern) {
  std::vector<std::string> found;
  const std::regex regex(pattern);
  for (auto at = std::sregex_iterator(text.begin(), text.end(), regex); at != std::sregex_iterator(); ++at)
    found.push_back((*at)[1]);
  return found;
}

}  // namespace

TEST(LineChart, PutsKnownPointsWhereTheyBelong) {
  // x spans 0..100 on 70..500 pixels, y spans 1..5 on 290..40: larger values are higher up.
  const auto svg = foil::line_chart(
      {"loss", "step", {{"infonce", {{0, 5}, {50, 2}, {100, 1}}}, {"dcl", {{0, 3}, {25, 4}}, {}, 7}}});
  EXPECT_EQ(matches(svg, "polyline points=\"([^\"]*)\""),
            (std::vector<std::string>{"70,40 285,227.5 500,290", "70,165 177.5,102.5"}));
  EXPECT_EQ(matches(svg, "polyline[^>]*stroke=\"([^\"]*)\""),
            (std::vector<std::string>{"#0072B2", "#D55E00"}))
      << "the eighth style has the second colour again,";
  EXPECT_EQ(matches(svg, "polyline[^>]*stroke=\"#D55E00\" stroke-dasharray=\"([^\"]*)\"").size(), 1u)
      << "with a dash";
  EXPECT_EQ(matches(svg, "<desc>([^<]*)</desc>"),
            std::vector<std::string>{"infonce ends at 1, dcl ends at 4"});
}

TEST(LineChart, HoldsTheBandOnItsAxes) {
  const auto svg = foil::line_chart({"loss", "step", {{"a", {{0, 3}, {100, 3}}, {{1, 5}, {2, 4}}}}});
  EXPECT_EQ(matches(svg, "polygon points=\"([^\"]*)\""),
            std::vector<std::string>{"70,290 500,227.5 500,102.5 70,40"});
}

TEST(LineChart, LeavesOutATickWhoseTextWouldTouchAnother) {
  const auto svg = foil::line_chart(
      {"", "temperature", {{"a", {{0, 1}, {2, 3}}}}, {{0, "1"}, {0.01, "1.02"}, {1, "10"}, {2, "100"}}});
  EXPECT_EQ(matches(svg, "middle\">(1[0-9.]*)</text>"), (std::vector<std::string>{"1", "10", "100"}));
}

TEST(LineChart, SurvivesEmptyAndSinglePointSeries) {
  EXPECT_EQ(matches(foil::line_chart({"", "", {}}), "(nan|inf)").size(), 0u);
  const auto svg = foil::line_chart({"", "", {{"a", {{5, 2}}}, {"b", {}}}});
  EXPECT_EQ(matches(svg, "(nan|inf)").size(), 0u);
  EXPECT_EQ(matches(svg, "circle cx=\"([^\"]*)\""), (std::vector<std::string>{"285"}));  // the middle
}

TEST(DotTable, PutsADotAPointABarAtTheCentreAndAWhisker) {
  // The axis spans 80..88 on 220 pixels that begin after the names (7 characters) and the cells (10).
  const auto svg = foil::dot_table(
      {"",
       {"a", "variant"},
       {0, 1},
       {{"kNN %", {{"80.0", 80, 80, 80, {80.0}}, {"86.0 ± 2.0", 86, 84, 88, {84, 88}, true}}}}});
  const double left = 16 + 7 * 8.456 + 24 + 10 * 8.456 + 24;
  const auto near = [](const std::string& text, double value) {
    EXPECT_NEAR(std::stod(text), value, 0.006) << text;
  };
  const auto x = matches(svg, "circle cx=\"([^\"]*)\"");
  ASSERT_EQ(x.size(), 3u);
  near(x[0], left);
  near(x[1], left + 110);
  near(x[2], left + 220);
  EXPECT_EQ(matches(svg, "circle cx=\"[^\"]*\" cy=\"([^\"]*)\""),
            (std::vector<std::string>{"54", "82", "82"}));
  EXPECT_EQ(matches(svg, "circle[^>]*fill=\"([^\"]*)\""),
            (std::vector<std::string>{"#0072B2", "#D55E00", "#D55E00"}));
  const auto bar = matches(svg, "line x1=\"([^\"]*)\"[^>]*stroke-width=\"3\"");
  ASSERT_EQ(bar.size(), 2u);
  near(bar[1], left + 165);
  const auto whisker_end = matches(svg, "line x1=\"[^\"]*\" y1=\"82\" x2=\"([^\"]*)\"");
  ASSERT_EQ(whisker_end.size(), 1u);
  near(whisker_end[0], left + 220);
}

TEST(DotTable, HoldsZeroWhereDifferencesAreDrawn) {
  const auto svg = foil::dot_table({"", {"a"}, {0}, {{"kNN %", {{"+1.5", 1.5, 1, 2}}, true}}});
  EXPECT_EQ(matches(svg, ">(0.0|2.0)</text>").size(), 2u);
  EXPECT_EQ(matches(svg, "line[^>]*stroke-width=\"(1.5)\"").size(), 1u);
}

TEST(ScatterPlot, HasOneScaleForBothAxesAndAColourASeries) {
  // x spans 0..10 and y 2..6 in the middle of as much: larger values are higher up.
  const auto svg = foil::scatter_plot(
      {"nodes", "first", "second", {{"a", {{0, 2}, {10, 6}}}, {"none", {}}, {"b", {{5, 4}}}}});
  EXPECT_EQ(matches(svg, "path d=\"([^\"]*)\""),
            (std::vector<std::string>{"M44.0 314.4h0M436.0 157.6h0", "M240.0 236.0h0"}));
  EXPECT_EQ(matches(svg, "path[^>]*stroke=\"([^\"]*)\""), (std::vector<std::string>{"#0072B2", "#009E73"}));
  EXPECT_EQ(matches(svg, ">(a|b|none|first|second)</text>").size(), 5u);
  EXPECT_EQ(matches(foil::scatter_plot({"", "", "", {}}), "(nan|inf)").size(), 0u);
  EXPECT_EQ(matches(foil::scatter_plot({"", "", "", {{"a", {{3, 3}}}}}), "path d=\"([^\"]*)\""),
            std::vector<std::string>{"M240.0 236.0h0"});
}

TEST(Ticks, AreRoundAndCoverTheRange) {
  EXPECT_EQ(foil::ticks(0, 100, 6), (std::vector<double>{0, 20, 40, 60, 80, 100}));
  EXPECT_EQ(foil::ticks(80.9, 86.4, 4), (std::vector<double>{80, 82, 84, 86, 88}));
  EXPECT_EQ(foil::ticks(-3, 1, 6), (std::vector<double>{-3, -2, -1, 0, 1}));
  for (const auto& [low, high] :
       {std::pair(5.0, 5.0), {0.0, 0.0}, {-2.0, -2.0}, {1e-9, 3e-9}, {1e12, 1.1e12}}) {
    const auto marks = foil::ticks(low, high, 5);
    EXPECT_LE(marks.front(), low);
    EXPECT_GE(marks.back(), high);
    EXPECT_GE(marks.size(), 2u);
    EXPECT_LE(marks.size(), 6u);
  }
}

TEST(EscapeMarkup, LeavesNoMarkup) {
  EXPECT_EQ(foil::escape_markup("<b a=\"1\">&\x01\n\xC2\xB1"),
            "&lt;b a=&quot;1&quot;&gt;&amp;\\x01\n\xC2\xB1");
  const auto svg = foil::dot_table({"<p>", {"<script>"}, {0}, {{"<t>", {{"<c>"}}}}});
  EXPECT_EQ(matches(svg, "(<script|<p>|<t>|<c>)").size(), 0u);
}
