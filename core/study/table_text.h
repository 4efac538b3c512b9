// SPDX-License-Identifier: BSD-3-Clause
// The tables of a comparison for people: plain text and Markdown.
#pragma once

#include "study/table.h"

#include <string>
#include <vector>

namespace foil {

// Both end with a newline.
std::string render_text(const std::vector<ComparisonTable>& tables);
std::string render_markdown(const std::vector<ComparisonTable>& tables);

// A text of one line or several, such as a reason, on one.
std::string one_line(std::string text);
// Text in which Markdown sees nothing of its own: no emphasis, code, cell or HTML, and no link.
std::string plain_markdown(const std::string& text);
// A header and lines as a table on a terminal, columns apart by three blanks.
std::string aligned(const std::vector<std::vector<std::string>>& lines);
// A Markdown table of a header and lines as they are.
std::string markdown_of(const std::vector<std::vector<std::string>>& lines);

}  // namespace foil
