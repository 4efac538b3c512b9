// SPDX-License-Identifier: BSD-3-Clause
// Composes the report and writes its files.
#include "study/report.h"

#include "run/file.h"
#include "study/datasets.h"
#include "study/effort.h"
#include "study/page.h"
#include "study/paper.h"
#include "study/report_parts.h"
#include "study/svg.h"
#include "study/table_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace foil {
namespace {

HtmlLines plain_lines(const std::vector<std::vector<std::string>>& lines) {
  HtmlLines cells;
  for (const auto& line : lines) {
    auto& row = cells.emplace_back();
    for (const auto& text : line) row.push_back({text});
  }
  return cells;
}

std::string sentences(const std::vector<std::string>& texts) {
  std::string out;
  for (const auto& text : texts) out += (out.empty() ? "" : " ") + text;
  return element("p", out, "note") + "\n";
}

HtmlCell name_cell(const Studied& subject, const TableRow& row) {
  return {row.name, "", "", row.baseline ? colour(kNoStyle) : colour(subject.style_of(row.name))};
}

// Every headline metric and, unless they are many, its difference to the reference with interval and p.
std::string results_table(const Studied& subject, const ComparisonTable& table) {
  const bool tested = has_tests(table) && std::ssize(table.headline) <= kMostBeside;
  HtmlLines lines = {{{"variant"}}};
  for (const auto& metric : table.headline) {
    lines[0].push_back({heading(table.measures.at(metric))});
    if (tested) lines[0].insert(lines[0].end(), {{"difference [95 %]"}, {"p"}});
    if (tested && has_test_set(table, metric)) lines[0].push_back({"by samples"});
  }
  lines[0].push_back({"n"});
  for (const auto& row : table.rows) {
    auto& line = lines.emplace_back();
    line.push_back(name_cell(subject, row));
    for (const auto& metric : table.headline) {
      const auto cell = row.cells.find(metric);
      const bool there = cell != row.cells.end();
      line.push_back({cell_text(table, row, metric) + (there && cell->second.level ? " =" : ""),
                      there && cell->second.best ? "best" : ""});
      if (tested)
        line.insert(line.end(), {{difference_text(table, row, metric)}, {p_text(table, row, metric)}});
      if (tested && has_test_set(table, metric)) line.push_back({test_set_text(table, row, metric)});
    }
    line.push_back({std::to_string(row.n)});
  }
  return html_table(lines, "results", true);
}

std::string all_metrics(const Studied& subject, const ComparisonTable& table) {
  HtmlLines lines = {{{"variant"}}};
  for (const auto& metric : table.metrics) lines[0].push_back({heading(table.measures.at(metric))});
  for (const auto& row : table.rows) {
    auto& line = lines.emplace_back();
    line.push_back(name_cell(subject, row));
    for (const auto& metric : table.metrics) {
      const auto cell = row.cells.find(metric);
      HtmlCell& one = line.emplace_back();
      if (cell == row.cells.end()) continue;
      one.text = fmt::format("{:.5g}", cell->second.mean);
      if (cell->second.values.size() > 1) one.text += fmt::format(" ± {:.2g}", cell->second.spread);
      if (cell->second.best) one.css_class = "best";
    }
  }
  return html_details("All metrics", html_table(lines, "all metrics", true));
}

std::string results_part(const Studied& subject, const ComparisonTable& table) {
  std::string out = "<h2>Results</h2>\n";
  if (subject.tables.size() > 1) out += element("p", "Protocol: " + table.protocol, "note") + "\n";
  out += results_table(subject, table);
  std::vector<std::string> remarks = {
      "Mean ± sample standard deviation over n seeds; the best mean is bold."};
  if (!table.reference.empty()) remarks.push_back("The reference is " + table.reference + ".");
  for (const auto& note : notes(table)) remarks.push_back(note);
  out += sentences(remarks);
  std::string unfinished;
  for (const auto& row : table.rows) {
    for (const auto& trial : row.unfinished)
      unfinished +=
          element("li", unfinished_text(row.name, trial), trial.state == "failed" ? "failed" : "") + "\n";
  }
  if (!unfinished.empty()) out += "<ul>\n" + unfinished + "</ul>\n";
  if (const auto effort = effort_grid(table); !effort.empty())
    out += "<h3>What it took</h3>\n" + html_table(plain_lines(effort), "what it took", true) +
           sentences(effort_notes(table));
  return table.metrics.empty() ? out : out + all_metrics(subject, table);
}

std::string pooled_part(const Studied& subject) {
  std::string out;
  for (const auto& pooled : pool(subject.tables))
    out += html_table(plain_lines(pooled_grid(pooled)), "several data sets", true) +
           sentences({pooled_note(pooled)});
  return out.empty() ? out : "<h2>Several data sets</h2>\n" + out;
}

std::string html_of(const Studied& subject, const std::string& title, Pictures& pictures) {
  const Environment environment(subject.comparison);
  std::string body = asked_part(subject, environment) + pooled_part(subject);
  for (size_t i = 0; i < subject.tables.size(); ++i) {
    const ComparisonTable& table = subject.tables[i];
    const std::string suffix = i == 0 ? "" : "-" + std::to_string(i + 1);
    body += results_part(subject, table) + seeds_part(subject, table, suffix, pictures) +
            differences_part(subject, table, suffix, pictures) +
            factors_part(subject, table, suffix, pictures) + outcomes_part(subject, table, suffix, pictures) +
            time_part(subject, table, suffix, pictures);
  }
  body += curves_part(subject, pictures) + features_part(subject) + config_part(subject) +
          environment_part(environment);
  return html_page(title, body);
}

void write_pictures(const std::string& folder, const Pictures& pictures) {
  std::filesystem::create_directories(folder);
  for (const auto& [name, svg] : pictures.all) write_atomically(folder + "/" + name + ".svg", svg);
}

}  // namespace

Studied::Studied(const Comparison& given, const std::string& reference)
    : comparison(labelled(given)), tables(tabulate(comparison, label_of(reference, given.labels))) {}

size_t Studied::style_of(const std::string& name) const {
  size_t style = 0;
  for (const Row& row : comparison.rows) {
    if (row.baseline) continue;
    if (row.name == name) return style;
    ++style;
  }
  return kNoStyle;
}

std::string Pictures::add(const std::string& name, const std::string& svg) {
  all.emplace_back(name, svg);
  return html_figure(svg);
}

std::string report_html(const Comparison& comparison, const std::string& title,
                        const std::string& reference) {
  Pictures pictures;
  return html_of(Studied(comparison, reference), title, pictures);
}

std::string write_report(const Comparison& comparison, const std::string& title, const std::string& folder,
                         const std::string& reference) {
  const Studied subject(comparison, reference);
  int number = 0;
  for (const auto& table : subject.tables) {
    ++number;
    write_atomically(folder + "/comparison" + (number == 1 ? "" : "-" + std::to_string(number)) + ".svg",
                     table_picture(subject, table));
  }
  Pictures pictures;
  const std::string html = html_of(subject, title, pictures), path = folder + "/report.html";
  write_pictures(folder + "/figures", pictures);
  write_atomically(folder + "/table.tex", paper_latex(subject.comparison, subject.tables));
  write_atomically(folder + "/table.md", paper_markdown(subject.comparison, subject.tables));
  write_atomically(path, html);
  return path;
}

}  // namespace foil
