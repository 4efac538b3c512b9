// SPDX-License-Identifier: BSD-3-Clause
// Writes the HTML report.
#include "study/report.h"

#include "run/file.h"
#include "run/json.h"
#include "study/plot.h"
#include "study/table.h"
#include "study/trial_results.h"

#include <foil/error.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <set>

namespace foil {
namespace {

constexpr const char* page_style = R"(
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; color: #1f2328; background: #fff }
table { border-collapse: collapse; margin: 1em 0 }
th, td { text-align: left; white-space: nowrap; padding: .3em 1em .3em 0; border-bottom: 1px solid #8886; vertical-align: top }
td.best { font-weight: bold }
td.value { font-family: ui-monospace, monospace; font-size: .9em; white-space: pre-wrap }
svg, img { max-width: 100%; height: auto }
figure { display: inline-block; margin: 0 1em 1em 0 }
.failed { color: #b3261e }
.note { opacity: .75; font-size: .9em }
@media (prefers-color-scheme: dark) { body { color: #e6edf3; background: #0d1117 } .failed { color: #ff8a80 } }
)";

std::string element(const std::string& tag, const std::string& text, const std::string& css_class = "") {
  return fmt::format("<{}{}>{}</{}>", tag, css_class.empty() ? "" : " class=\"" + css_class + "\"",
                     escape_markup(text), tag);
}

std::string picture(const ComparisonTable& table) {
  DotTable dots{table.protocol.empty() ? "" : "protocol " + table.protocol, {}, {}};
  for (const auto& row : table.rows) dots.names.push_back(row.name);
  for (const auto& metric : table.headline) {
    DotColumn column{heading(table.measures.at(metric)), {}};
    for (const auto& row : table.rows) {
      DotCell& dot = column.cells.emplace_back();
      dot.text = cell_text(table, row, metric);
      const auto cell = row.cells.find(metric);
      if (cell == row.cells.end()) continue;
      for (const auto& [seed, value] : cell->second.values) dot.points.push_back(value);
      dot.mean = cell->second.mean;
      dot.spread = cell->second.spread;
      dot.best = cell->second.best;
    }
    dots.columns.push_back(std::move(column));
  }
  DotColumn n{"n", {}};
  for (const auto& row : table.rows) n.cells.push_back({std::to_string(row.n), {}});
  dots.columns.push_back(std::move(n));
  if (has_tests(table)) {
    DotColumn difference{difference_title(table), {}}, p{"p", {}};
    for (const auto& row : table.rows) {
      difference.cells.push_back({difference_text(table, row), {}});
      p.cells.push_back({p_text(table, row), {}});
    }
    dots.columns.push_back(std::move(difference));
    dots.columns.push_back(std::move(p));
  }
  return dot_table(dots);
}

std::string results_section(const ComparisonTable& table) {
  std::string out = "<h2>Results</h2>\n" + picture(table);
  out +=
      "<p class=\"note\">mean ± sample standard deviation over n seeds; a dot is a seed, the best mean is "
      "bold. The axes do not start at zero.";
  for (const auto& note : notes(table)) out += " " + escape_markup(note);
  out += "</p>\n";
  std::string unfinished;
  for (const auto& row : table.rows) {
    for (const auto& trial : row.unfinished) {
      unfinished +=
          element("li", unfinished_text(row.name, trial), trial.state == "failed" ? "failed" : "") + "\n";
    }
  }
  if (!unfinished.empty()) out += "<ul>\n" + unfinished + "</ul>\n";
  if (table.metrics.empty()) return out;
  out += "<details open=\"\"><summary>All metrics</summary>\n<table>\n<tr><th>variant</th>";
  for (const auto& metric : table.metrics) out += element("th", heading(table.measures.at(metric)));
  out += "</tr>\n";
  for (const auto& row : table.rows) {
    out += "<tr>" + element("td", row.name);
    for (const auto& metric : table.metrics) {
      const auto cell = row.cells.find(metric);
      std::string text;
      if (cell != row.cells.end()) {
        text = fmt::format("{:.5g}", cell->second.mean);
        if (cell->second.values.size() > 1) text += fmt::format(" ± {:.2g}", cell->second.spread);
      }
      out += element("td", text, cell != row.cells.end() && cell->second.best ? "best" : "");
    }
    out += "</tr>\n";
  }
  return out + "</table>\n</details>\n";
}

// The loss, and of the headline metrics those that were also measured while training.
std::string curves_section(const Comparison& comparison, const std::vector<ComparisonTable>& tables) {
  std::vector<std::string> keys = {"loss"};
  std::map<std::string, LineChart> charts = {{"loss", {"", "step", "loss", {}}}};
  for (const auto& table : tables) {
    for (const auto& metric : table.headline) {
      const bool is_new =
          charts.insert({metric, {"", "step", heading(table.measures.at(metric)), {}}}).second;
      if (is_new) keys.push_back(metric);
    }
  }
  for (const auto& row : comparison.rows) {
    for (const auto& [seed, folder] : row.folders) {
      for (auto& [key, curve] : read_curves(folder, keys)) {
        if (!curve.empty()) charts[key].series.push_back({row.name, std::move(curve)});
      }
    }
  }
  std::string out;
  for (const auto& key : keys) {
    LineChart& chart = charts[key];
    chart.title = chart.y_label + " over steps, a line a seed";
    if (!chart.series.empty()) out += line_chart(chart);
  }
  return out.empty() ? out : "<h2>Curves</h2>\n" + out;
}

// An SVG that a run left, as an image: what is written in it cannot run there. Empty where there is none.
std::string image(const std::string& path, const std::string& caption) {
  const auto svg = read_text(path);
  if (!svg) return "";
  std::string address = "data:image/svg+xml,";
  for (const char c : *svg) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == ' ' || c == '.' || c == '-' || c == '=' || c == '/' || c == ':';
    address += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<uint8_t>(c));
  }
  return "<figure><img alt=\"" + escape_markup(caption) + "\" src=\"" + address + "\"/>" +
         element("figcaption", caption) + "</figure>\n";
}

// The nodes of a graph by the features of the first seed of every variant that left such a picture.
std::string nodes_section(const Comparison& comparison) {
  std::string out;
  for (const auto& row : comparison.rows) {
    for (const auto& [seed, folder] : row.folders) {
      const std::string one = image(folder + "/nodes.svg", fmt::format("{}, seed {}", row.name, seed));
      out += one;
      if (!one.empty()) break;
    }
  }
  return out.empty() ? out : "<h2>Nodes</h2>\n" + out;
}

std::string config_section(const Comparison& comparison) {
  std::vector<const Row*> rows;
  std::set<std::string> keys;
  for (const auto& row : comparison.rows) {
    if (row.config.empty()) continue;
    rows.push_back(&row);
    for (const auto& [key, value] : row.config) keys.insert(key);
  }
  if (rows.empty()) return "";
  const auto value_of = [](const Row& row, const std::string& key) {
    const auto at = row.config.find(key);
    return at == row.config.end() ? std::string("(not set)") : at->second;
  };
  std::string differences, all;
  for (const auto& key : keys) {
    const std::string first = value_of(*rows[0], key);
    all += "<tr>" + element("td", key) + element("td", first, "value") + "</tr>\n";
    const bool equal =
        std::all_of(rows.begin(), rows.end(), [&](const Row* row) { return value_of(*row, key) == first; });
    if (equal || key == "run.seed") continue;  // a variant's config is that of one of its seeds
    differences += "<tr>" + element("td", key);
    for (const auto* row : rows) differences += element("td", value_of(*row, key), "value");
    differences += "</tr>\n";
  }
  std::string out = "<h2>Configuration</h2>\n";
  if (differences.empty()) {
    out += "<p>The variants' configurations are equal.</p>\n";
  } else {
    out += "<table>\n<tr><th>differs in</th>";
    for (const auto* row : rows) out += element("th", row->name);
    out += "</tr>\n" + differences + "</table>\n";
  }
  return out + "<details><summary>" + escape_markup("All of " + rows[0]->name) + "</summary>\n<table>\n" +
         all + "</table>\n</details>\n";
}

// An env.json, flattened, beside the values of others. Nothing when there is none; Error (Exit::data) when it
// is damaged.
void add_environment(const std::string& path, std::map<std::string, std::set<std::string>>& values) {
  const auto text = read_text(path);
  if (!text) return;
  const auto json = parse_json(*text, path);
  if (!json.is_object()) fail(Exit::data, path, ": not a record of an environment");
  const auto flat = json.flatten();
  for (const auto& [pointer, value] : flat.items()) {
    std::string key = pointer.empty() ? "" : pointer.substr(1);
    std::replace(key.begin(), key.end(), '/', '.');
    if (!key.empty()) values[key].insert(value.is_string() ? value.get<std::string>() : value.dump());
  }
}

// The env.json of every run; a key with more than one value shows them all.
std::string environment_section(const Comparison& comparison) {
  std::map<std::string, std::set<std::string>> values;
  std::string damaged;
  for (const auto& row : comparison.rows) {
    for (const auto& [seed, folder] : row.folders) {
      try {
        add_environment(folder + "/env.json", values);
      } catch (const Error& error) {
        damaged += element("p", error.what(), "failed") + "\n";
      }
    }
  }
  if (values.empty() && damaged.empty()) return "";
  std::string out = "<h2>Hardware and versions</h2>\n" + damaged + "<table>\n";
  for (const auto& [key, distinct] : values) {
    std::string text;
    for (const auto& value : distinct) text += (text.empty() ? "" : " | ") + value;
    out += "<tr>" + element("td", key) + element("td", text, "value") + "</tr>\n";
  }
  return out + "</table>\n";
}

}  // namespace

std::string report_html(const Comparison& comparison, const std::string& title,
                        const std::string& reference) {
  std::string out = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n" +
                    element("title", title) + "\n<style>" + page_style + "</style>\n</head>\n<body>\n" +
                    element("h1", title) + "\n";
  const auto tables = tabulate(comparison, reference);
  for (const auto& table : tables) out += results_section(table);
  out += curves_section(comparison, tables) + nodes_section(comparison) + config_section(comparison) +
         environment_section(comparison);
  return out + "</body>\n</html>\n";
}

std::string write_report(const Comparison& comparison, const std::string& title, const std::string& folder,
                         const std::string& reference) {
  int number = 0;
  for (const auto& table : tabulate(comparison, reference)) {
    ++number;
    write_atomically(folder + "/comparison" + (number == 1 ? "" : "-" + std::to_string(number)) + ".svg",
                     picture(table));
  }
  const std::string path = folder + "/report.html";
  write_atomically(path, report_html(comparison, title, reference));
  return path;
}

}  // namespace foil
