// SPDX-License-Identifier: BSD-3-Clause
// The HTML of a report: one page without anything outside it, readable in light and dark, on a telephone and
// on paper. What is wider than the page scrolls in a box of its own.
#pragma once

#include <string>
#include <vector>

namespace foil {

// <tag class="...">text</tag>, the text escaped.
std::string element(const std::string& tag, const std::string& text, const std::string& css_class = "");

struct HtmlCell {
  std::string text;
  std::string css_class = {}, style = {};
  std::string mark = {};  // a colour: a swatch before the text
};
using HtmlLines = std::vector<std::vector<HtmlCell>>;

// The first line is the header. Sortable: a click on a header sorts by its column, numbers by their value;
// without script it is a table like any other.
std::string html_table(const HtmlLines& lines, const std::string& label, bool sortable = false);
// Names down the left, a value each: no header.
std::string html_facts(const std::vector<std::pair<std::string, std::string>>& facts,
                       const std::string& label);
// A picture in a box of its own.
std::string html_figure(const std::string& svg);
// Behind a summary, closed.
std::string html_details(const std::string& summary, const std::string& body);

std::string html_page(const std::string& title, const std::string& body);

}  // namespace foil
