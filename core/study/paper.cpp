// SPDX-License-Identifier: BSD-3-Clause
// Lays tables out for a paper and writes them as LaTeX and Markdown.
#include "study/paper.h"

#include "run/text.h"
#include "study/factors.h"
#include "study/table_text.h"

#include <algorithm>
#include <cmath>

namespace foil {
namespace {

struct Cell {
  std::string text;
  bool best = false, level = false;
};
using Lines = std::vector<std::vector<Cell>>;

ComparisonTable with_digits_of_spread(ComparisonTable table) {
  for (const auto& metric : table.headline)
    table.measures.at(metric).digits = digits_of_spread(table, metric);
  return table;
}

Cell cell_of(const ComparisonTable& table, const TableRow& row, const std::string& metric) {
  const auto at = row.cells.find(metric);
  if (at == row.cells.end()) return {};
  return {cell_text(table, row, metric), at->second.best, at->second.level};
}

Lines lines_of(const ComparisonTable& table, const std::vector<std::string>& metrics) {
  const bool tested = has_tests(table);
  Lines lines(1);
  lines[0].push_back({""});
  for (const auto& metric : metrics) {
    lines[0].push_back({heading(table.measures.at(metric))});
    if (tested) lines[0].insert(lines[0].end(), {{"Δ [95 %]"}, {"p"}});
  }
  lines[0].push_back({"n"});
  for (const auto& row : table.rows) {
    auto& line = lines.emplace_back();
    line.push_back({printable(row.name)});
    for (const auto& metric : metrics) {
      line.push_back(cell_of(table, row, metric));
      if (!tested) continue;
      line.push_back({difference_text(table, row, metric)});
      line.push_back({p_text(table, row, metric)});
    }
    line.push_back({std::to_string(row.n)});
  }
  return lines;
}

// One for each headline metric of a grid of two keys.
std::vector<Lines> pivots_of(const Comparison& comparison, const ComparisonTable& table) {
  const Swept swept = swept_of(comparison, table);
  if (!swept.full || swept.factors.size() != 2) return {};
  const Factor &down = swept.factors[0], &across = swept.factors[1];
  std::vector<Lines> pivots;
  for (const auto& metric : table.headline) {
    Lines& lines = pivots.emplace_back(1);
    lines[0].push_back({heading(table.measures.at(metric)) + ": " + down.title + ", " + across.title});
    for (const auto& level : across.levels) lines[0].push_back({label_of(level, comparison.labels)});
    for (size_t i = 0; i < down.levels.size(); ++i) {
      auto& line = lines.emplace_back();
      line.push_back({label_of(down.levels[i], comparison.labels)});
      for (size_t k = 0; k < across.levels.size(); ++k)
        line.push_back(cell_of(table, row_at(swept, i, k), metric));
    }
  }
  return pivots;
}

// The table, or one for each of many headline metrics; then the pivots.
std::vector<Lines> all_lines(const Comparison& comparison, const ComparisonTable& table) {
  std::vector<Lines> all;
  if (std::ssize(table.headline) <= kMostBeside) {
    all.push_back(lines_of(table, table.headline));
  } else {
    for (const auto& metric : table.headline) all.push_back(lines_of(table, {metric}));
  }
  for (Lines& pivot : pivots_of(comparison, table)) all.push_back(std::move(pivot));
  return all;
}

std::vector<std::string> remarks(const ComparisonTable& table) {
  std::vector<std::string> all = {"Mean ± sample standard deviation over n seeds; the best mean is bold."};
  if (has_tests(table)) all.push_back("Δ: difference to " + one_line(table.reference) + ".");
  for (const auto& note : notes(table)) all.push_back(note);
  if (!table.protocol.empty()) all.push_back("Protocol: " + printable(table.protocol));
  return all;
}

std::string in_markdown(const Lines& lines) {
  std::vector<std::vector<std::string>> texts;
  for (const auto& line : lines) {
    auto& written = texts.emplace_back();
    for (const Cell& cell : line) {
      const std::string text = plain_markdown(cell.text);
      written.push_back(cell.best ? "**" + text + "**" : text + (cell.level ? " =" : ""));
    }
  }
  return markdown_of(texts);
}

// Text in which LaTeX sees nothing of its own. A minus is one, and so are the signs that no font of text has.
std::string plain_latex(const std::string& text) {
  static const std::vector<std::pair<std::string, std::string>> kSigns = {
      {"±", "$\\pm$"},
      {"Δ", "$\\Delta$"},
      {"↓", "$\\downarrow$"},
      {"<", "$<$"},
      {">", "$>$"},
      {"\\", "\\textbackslash{}"},
      {"~", "\\textasciitilde{}"},
      {"^", "\\textasciicircum{}"},
      {"%", "\\%"},
      {"&", "\\&"},
      {"#", "\\#"},
      {"_", "\\_"},
      {"$", "\\$"},
      {"{", "\\{"},
      {"}", "\\}"},
  };
  std::string escaped;
  for (size_t i = 0; i < text.size();) {
    const bool minus = text[i] == '-' && i + 1 < text.size() && text[i + 1] >= '0' && text[i + 1] <= '9' &&
                       (i == 0 || text[i - 1] == ' ' || text[i - 1] == '[');
    const auto sign = std::find_if(kSigns.begin(), kSigns.end(), [&](const auto& known) {
      return text.compare(i, known.first.size(), known.first) == 0;
    });
    if (minus) {
      escaped += "$-$";
    } else if (sign != kSigns.end()) {
      escaped += sign->second;
    } else {
      escaped += text[i];
    }
    i += sign != kSigns.end() ? sign->first.size() : 1;
  }
  return escaped;
}

std::string in_latex(const Lines& lines) {
  std::string out = "\\begin{tabular}{l" + std::string(lines[0].size() - 1, 'r') + "}\n\\toprule\n";
  for (size_t i = 0; i < lines.size(); ++i) {
    for (size_t column = 0; column < lines[i].size(); ++column) {
      const Cell& cell = lines[i][column];
      const std::string text = plain_latex(cell.text);
      out += column == 0 ? "" : " & ";
      out += cell.best ? "\\textbf{" + text + "}" : text + (cell.level ? "$^{=}$" : "");
    }
    out += i == 0 ? " \\\\\n\\midrule\n" : " \\\\\n";
  }
  return out + "\\bottomrule\n\\end{tabular}\n";
}

}  // namespace

int64_t digits_of_spread(const ComparisonTable& table, const std::string& metric) {
  std::vector<double> spreads;
  for (const auto& row : table.rows) {
    const auto cell = row.cells.find(metric);
    if (!row.baseline && cell != row.cells.end() && cell->second.spread > 0)
      spreads.push_back(cell->second.spread);
  }
  if (spreads.empty()) return table.measures.at(metric).digits;
  std::nth_element(spreads.begin(), spreads.begin() + std::ssize(spreads) / 2, spreads.end());
  const double middle = spreads[spreads.size() / 2], power = std::floor(std::log10(middle));
  const bool begins_with_1 = middle < 2 * std::pow(10, power);
  return std::clamp<int64_t>(static_cast<int64_t>(-power) + (begins_with_1 ? 1 : 0), 0, 15);
}

std::string paper_latex(const Comparison& comparison, const std::vector<ComparisonTable>& tables) {
  std::string out = "% \\usepackage{booktabs}\n";
  for (const auto& given : tables) {
    const ComparisonTable table = with_digits_of_spread(given);
    for (const auto& remark : remarks(table)) out += "% " + remark + "\n";
    std::string all;
    for (const Lines& lines : all_lines(comparison, table))
      all += (all.empty() ? "" : "\n") + in_latex(lines);
    out += all;
  }
  return out;
}

std::string paper_markdown(const Comparison& comparison, const std::vector<ComparisonTable>& tables) {
  std::string out;
  for (const auto& given : tables) {
    const ComparisonTable table = with_digits_of_spread(given);
    out += out.empty() ? "" : "\n";
    for (const Lines& lines : all_lines(comparison, table)) out += in_markdown(lines) + "\n";
    for (const auto& remark : remarks(table)) out += "- " + plain_markdown(remark) + "\n";
  }
  return out;
}

std::string pivots_markdown(const Comparison& comparison, const std::vector<ComparisonTable>& tables) {
  std::string out;
  for (const auto& table : tables) {
    for (const Lines& pivot : pivots_of(comparison, with_digits_of_spread(table)))
      out += "\n" + in_markdown(pivot);
  }
  return out;
}

}  // namespace foil
