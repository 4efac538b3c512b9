// SPDX-License-Identifier: BSD-3-Clause
// Prints tables, what their trials took, and what several data sets say together.
#include "study/table_text.h"

#include "run/text.h"
#include "study/datasets.h"
#include "study/effort.h"

#include <algorithm>
#include <functional>
#include <string_view>

namespace foil {
namespace {

using Lines = std::vector<std::vector<std::string>>;

// Columns on a terminal: code points, not bytes (of UTF-8 only the bytes that start one are counted).
size_t width(const std::string& text) {
  return std::count_if(text.begin(), text.end(), [](unsigned char c) { return (c & 0xC0) != 0x80; });
}

// The lines of a table as cells: the header, then a row each. Shared by the two formats that a person reads.
Lines grid(const ComparisonTable& table,
           const std::function<std::string(const std::string&, const TableCell*)>& mark) {
  Lines lines(1);
  lines[0].push_back("variant");
  for (const auto& metric : table.headline)
    lines[0].push_back(mark(heading(table.measures.at(metric)), nullptr));
  lines[0].push_back("n");
  const bool tested = has_tests(table);
  if (tested) lines[0].insert(lines[0].end(), {difference_title(table), "p"});
  const bool by_samples = has_test_set(table);
  if (by_samples) lines[0].push_back("by samples");
  for (const auto& row : table.rows) {
    auto& line = lines.emplace_back();
    line.push_back(printable(row.name));
    for (const auto& metric : table.headline) {
      const auto cell = row.cells.find(metric);
      line.push_back(mark(cell_text(table, row, metric), cell == row.cells.end() ? nullptr : &cell->second));
    }
    line.push_back(std::to_string(row.n));
    if (tested) line.insert(line.end(), {difference_text(table, row), p_text(table, row)});
    if (by_samples) line.push_back(test_set_text(table, row));
  }
  return lines;
}

Lines escaped(Lines lines) {
  for (auto& line : lines)
    for (auto& cell : line) cell = plain_markdown(cell);
  return lines;
}

std::string text_of(const ComparisonTable& table) {
  std::string out = table.protocol.empty() ? "" : "protocol " + printable(table.protocol) + "\n";
  out += aligned(grid(table, [](const std::string& text, const TableCell* cell) {
    if (cell && cell->best) return "* " + text;
    return (cell && cell->level ? "= " : "  ") + text;
  }));
  for (const auto& row : table.rows) {
    for (const auto& trial : row.unfinished) out += unfinished_text(row.name, trial) + "\n";
  }
  for (const auto& note : notes(table)) out += note + "\n";
  const Lines effort = effort_grid(table);
  if (effort.empty()) return out;
  out += "\n" + aligned(effort);
  for (const auto& note : effort_notes(table)) out += note + "\n";
  return out;
}

std::string bullets(const std::vector<std::string>& texts) {
  std::string out;
  for (const auto& text : texts) out += "- " + plain_markdown(text) + "\n";
  return out.empty() ? out : "\n" + out;
}

std::string markdown_of_table(const ComparisonTable& table) {
  Lines lines = grid(table, [](const std::string& text, const TableCell* cell) {
    const std::string plain = plain_markdown(text);
    if (cell && cell->best) return "**" + plain + "**";
    return plain + (cell && cell->level ? " =" : "");
  });
  for (auto& line : lines) {
    for (size_t column = 0; column < line.size(); ++column) {
      const bool marked =
          column > 0 && column <= table.headline.size();  // headline cells carry asterisks of ours
      if (!marked) line[column] = plain_markdown(line[column]);
    }
  }
  std::string protocol = printable(table.protocol);
  std::replace(protocol.begin(), protocol.end(), '`', '\'');
  std::string out = protocol.empty() ? "" : "Protocol: `" + protocol + "`\n\n";
  out += markdown_of(lines);
  std::vector<std::string> remarks;
  for (const auto& row : table.rows) {
    for (const auto& trial : row.unfinished) remarks.push_back(unfinished_text(row.name, trial));
  }
  for (const auto& note : notes(table)) remarks.push_back(note);
  out += bullets(remarks);
  const Lines effort = effort_grid(table);
  return effort.empty() ? out : out + "\n" + markdown_of(escaped(effort)) + bullets(effort_notes(table));
}

}  // namespace

std::string render_text(const std::vector<ComparisonTable>& tables) {
  std::string out;
  for (const auto& table : tables) out += (out.empty() ? "" : "\n") + text_of(table);
  for (const auto& pooled : pool(tables))
    out += "\n" + aligned(pooled_grid(pooled)) + pooled_note(pooled) + "\n";
  return out;
}

std::string render_markdown(const std::vector<ComparisonTable>& tables) {
  std::string out;
  for (const auto& table : tables) out += (out.empty() ? "" : "\n") + markdown_of_table(table);
  for (const auto& pooled : pool(tables))
    out += "\n" + markdown_of(escaped(pooled_grid(pooled))) + bullets({pooled_note(pooled)});
  return out;
}

std::string aligned(const std::vector<std::vector<std::string>>& lines) {
  std::vector<size_t> widths(lines[0].size());
  for (const auto& line : lines) {
    for (size_t column = 0; column < line.size(); ++column)
      widths[column] = std::max(widths[column], width(line[column]));
  }
  std::string out;
  for (const auto& line : lines) {
    std::string text;
    for (size_t column = 0; column < line.size(); ++column) {
      text +=
          (column == 0 ? "" : "   ") + line[column] + std::string(widths[column] - width(line[column]), ' ');
    }
    out += text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
  }
  return out;
}

std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  return printable(text);
}

std::string plain_markdown(const std::string& text) {
  std::string escaped;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool link = text[i] == ']' && i + 1 < text.size() &&
                      std::string_view("([:").find(text[i + 1]) != std::string_view::npos;
    if (link || std::string_view("|*_`<&~\\").find(text[i]) != std::string_view::npos) escaped += '\\';
    escaped += text[i];
  }
  return escaped;
}

std::string markdown_of(const std::vector<std::vector<std::string>>& lines) {
  std::string out;
  for (size_t i = 0; i < lines.size(); ++i) {
    for (size_t column = 0; column < lines[i].size(); ++column)
      out += (column == 0 ? "| " : " | ") + lines[i][column];
    out += " |\n";
    if (i > 0) continue;
    for (size_t column = 0; column < lines[i].size(); ++column) out += column == 0 ? "| --- |" : " --- |";
    out += "\n";
  }
  return out;
}

}  // namespace foil
