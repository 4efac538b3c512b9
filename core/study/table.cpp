// SPDX-License-Identifier: BSD-3-Clause
// Tabulates a comparison and prints it as text, CSV, JSON or Markdown.
#include "study/table.h"

#include <algorithm>
#include <functional>
#include <set>

#include <fmt/format.h>
#include <foil/error.h>
#include <nlohmann/json.hpp>

namespace foil {
namespace {

const std::vector<std::string> first_metrics = {"knn",     "linear",      "knn_many",      "knn_medium",
                                                "knn_few", "linear_many", "linear_medium", "linear_few"};

bool is_percent(const std::string& metric) {
  return std::find(first_metrics.begin(), first_metrics.end(), metric) != first_metrics.end();
}

// "knn_many" -> "kNN many"
std::string short_title(std::string metric) {
  if (!is_percent(metric)) return metric;
  std::replace(metric.begin(), metric.end(), '_', ' ');
  return metric.starts_with("knn") ? "kNN" + metric.substr(3) : metric;
}

bool is_headline(const std::string& metric) { return metric.find('.') == std::string::npos; }

std::vector<std::string> ordered_metrics(const std::vector<TableRow>& rows) {
  std::set<std::string> all;
  for (const auto& row : rows) {
    for (const auto& [metric, cell] : row.cells) all.insert(metric);
  }
  std::vector<std::string> ordered(all.begin(), all.end());
  std::stable_sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
    const auto rank = [](const std::string& metric) {
      const auto at = std::find(first_metrics.begin(), first_metrics.end(), metric);
      return at != first_metrics.end() ? at - first_metrics.begin() : std::ssize(first_metrics) + (is_headline(metric) ? 0 : 1);
    };
    return rank(a) < rank(b);
  });
  return ordered;
}

void mark_best(ComparisonTable& table, const std::string& metric) {
  std::vector<TableCell*> cells;
  for (auto& row : table.rows) {
    if (const auto cell = row.cells.find(metric); cell != row.cells.end()) cells.push_back(&cell->second);
  }
  if (cells.size() < 2) return;
  const auto* best = *std::max_element(cells.begin(), cells.end(), [](const auto* a, const auto* b) { return a->mean < b->mean; });
  for (auto* cell : cells) cell->best = cell->mean == best->mean;
}

void test_against_reference(ComparisonTable& table) {
  const auto reference = std::find_if(table.rows.begin(), table.rows.end(), [](const TableRow& row) { return !row.baseline; });
  if (reference == table.rows.end()) return;
  table.reference = reference->name;
  for (auto& row : table.rows) {
    if (row.baseline || row.name == reference->name) continue;
    for (auto& [metric, cell] : row.cells) {
      const auto other = reference->cells.find(metric);
      cell.test = other == reference->cells.end() ? PairedTest{} : paired_t_test(cell.values, other->second.values);
    }
  }
}

std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < ' '; }, ' ');
  return text;
}

// Columns on a terminal: code points, not bytes (of UTF-8 only the bytes that start one are counted).
size_t width(const std::string& text) {
  return std::count_if(text.begin(), text.end(), [](unsigned char c) { return (c & 0xC0) != 0x80; });
}

// The lines of a table as cells: the header, then a row each. Shared by the two formats that a person reads.
std::vector<std::vector<std::string>> grid(const ComparisonTable& table,
                                           const std::function<std::string(const std::string&, bool)>& mark) {
  std::vector<std::vector<std::string>> lines(1);
  lines[0].push_back("variant");
  for (const auto& metric : table.headline) lines[0].push_back(mark(metric_title(metric), false));
  lines[0].push_back("n");
  if (!table.headline.empty()) lines[0].push_back(p_title(table));
  for (const auto& row : table.rows) {
    auto& line = lines.emplace_back();
    line.push_back(one_line(row.name));
    for (const auto& metric : table.headline) {
      const auto cell = row.cells.find(metric);
      line.push_back(mark(cell_text(row, metric), cell != row.cells.end() && cell->second.best));
    }
    line.push_back(std::to_string(row.n));
    if (!table.headline.empty()) line.push_back(p_text(table, row));
  }
  return lines;
}

std::string render_table(const ComparisonTable& table) {
  const auto lines = grid(table, [](const std::string& text, bool best) { return (best ? "* " : "  ") + text; });
  std::vector<size_t> widths(lines[0].size());
  for (const auto& line : lines) {
    for (size_t column = 0; column < line.size(); ++column) widths[column] = std::max(widths[column], width(line[column]));
  }
  std::string out = table.protocol.empty() ? "" : "protocol " + table.protocol + "\n";
  for (const auto& line : lines) {
    std::string text;
    for (size_t column = 0; column < line.size(); ++column) {
      text += (column == 0 ? "" : "   ") + line[column] + std::string(widths[column] - width(line[column]), ' ');
    }
    out += text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
  }
  for (const auto& row : table.rows) {
    for (const auto& trial : row.unfinished) out += unfinished_text(row.name, trial) + "\n";
  }
  return out;
}

std::string render_markdown(const ComparisonTable& table) {
  const auto escape = [](const std::string& text) {
    std::string escaped;
    for (const char c : text) {
      if (c == '|' || c == '*' || c == '_' || c == '`' || c == '<' || c == '\\') escaped += '\\';
      escaped += c;
    }
    return escaped;
  };
  const auto lines = grid(table, [](const std::string& text, bool best) { return best ? "**" + text + "**" : text; });
  std::string out = table.protocol.empty() ? "" : "Protocol: `" + table.protocol + "`\n\n";
  for (size_t i = 0; i < lines.size(); ++i) {
    for (size_t column = 0; column < lines[i].size(); ++column) {
      const bool text = column == 0 || column > table.headline.size();  // headline cells are ours, and carry our own asterisks
      out += (column == 0 ? "| " : " | ") + (text ? escape(lines[i][column]) : lines[i][column]);
    }
    out += " |\n";
    if (i > 0) continue;
    for (size_t column = 0; column < lines[i].size(); ++column) out += column == 0 ? "| --- |" : " --- |";
    out += "\n";
  }
  std::string notes;
  for (const auto& row : table.rows) {
    for (const auto& trial : row.unfinished) notes += "- " + escape(unfinished_text(row.name, trial)) + "\n";
  }
  return notes.empty() ? out : out + "\n" + notes;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

// One line a variant and metric; a variant without results has one line with the metric empty.
std::string render_csv(const std::vector<ComparisonTable>& tables) {
  std::string out = "protocol,variant,metric,n,mean,spread,best,pairs,p,values,unfinished\n";
  for (const auto& table : tables) {
    for (const auto& row : table.rows) {
      std::string unfinished;
      for (const auto& trial : row.unfinished) unfinished += (unfinished.empty() ? "" : "; ") + unfinished_text(row.name, trial);
      const auto line = [&](const std::string& numbers) {
        out += csv_field(table.protocol) + "," + csv_field(row.name) + "," + numbers + "," + csv_field(unfinished) + "\n";
      };
      if (row.cells.empty()) line(",0,,,,,,");
      for (const auto& metric : table.metrics) {
        const auto at = row.cells.find(metric);
        if (at == row.cells.end()) continue;
        const TableCell& cell = at->second;
        std::string values;
        for (const auto& [seed, value] : cell.values) values += fmt::format("{}{}:{}", values.empty() ? "" : " ", seed, value);
        const std::string spread = cell.values.size() < 2 ? "" : fmt::format("{:.10g}", cell.spread);
        const std::string pairs = cell.test ? std::to_string(cell.test->pairs) : "";
        const std::string p = cell.test && cell.test->p ? fmt::format("{:.10g}", *cell.test->p) : "";
        line(fmt::format("{},{},{:.10g},{},{},{},{},{}", csv_field(metric), cell.values.size(), cell.mean, spread,
                         cell.best ? 1 : 0, pairs, p, values));
      }
    }
  }
  return out;
}

std::string render_json(const std::vector<ComparisonTable>& tables) {
  using Json = nlohmann::ordered_json;
  Json out = {{"tables", Json::array()}};
  for (const auto& table : tables) {
    Json rows = Json::array();
    for (const auto& row : table.rows) {
      Json metrics = Json::object();
      for (const auto& metric : table.metrics) {
        const auto at = row.cells.find(metric);
        if (at == row.cells.end()) continue;
        const TableCell& cell = at->second;
        Json values = Json::object();
        for (const auto& [seed, value] : cell.values) values[std::to_string(seed)] = value;
        metrics[metric] = {{"n", cell.values.size()}, {"mean", cell.mean}, {"spread", nullptr},
                           {"best", cell.best},       {"p", nullptr},      {"values", values}};
        if (cell.values.size() > 1) metrics[metric]["spread"] = cell.spread;
        if (cell.test && cell.test->p) metrics[metric]["p"] = *cell.test->p;
      }
      Json unfinished = Json::array();
      for (const auto& trial : row.unfinished) {
        unfinished.push_back({{"seed", trial.seed}, {"state", trial.state}, {"reason", trial.reason}});
      }
      rows.push_back(
          {{"variant", row.name}, {"baseline", row.baseline}, {"n", row.n}, {"metrics", metrics}, {"unfinished", unfinished}});
    }
    out["tables"].push_back({{"protocol", table.protocol}, {"reference", table.reference}, {"rows", rows}});
  }
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::vector<ComparisonTable> tabulate(const Comparison& comparison) {
  std::vector<ComparisonTable> tables;
  const auto table_of = [&](const std::string& protocol) -> ComparisonTable& {
    for (auto& table : tables) {
      if (table.protocol == protocol || protocol.empty()) return table;  // a row without results stands in the first table
    }
    tables.push_back({protocol, "", {}, {}, {}});
    return tables.back();
  };
  for (const auto& row : comparison.rows) {  // tables in the order of first appearance, those of rows without results last
    if (!row.protocol.empty()) table_of(row.protocol);
  }
  for (const auto& row : comparison.rows) {
    TableRow line{row.name, row.baseline, std::ssize(row.folders), {}, row.unfinished};
    for (const auto& [metric, values] : row.metrics)
      line.cells[metric] = {values, mean(values), sample_std(values), false, std::nullopt};
    table_of(row.protocol).rows.push_back(std::move(line));
  }
  for (auto& table : tables) {
    table.metrics = ordered_metrics(table.rows);
    std::copy_if(table.metrics.begin(), table.metrics.end(), std::back_inserter(table.headline), is_headline);
    for (const auto& metric : table.headline) mark_best(table, metric);
    test_against_reference(table);
  }
  return tables;
}

Format parse_format(const std::string& name) {
  const std::vector<std::string> names = {"table", "csv", "json", "markdown"};
  const auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end()) fail(Exit::usage, "unknown format ", name, ".", known_names("formats", name, names));
  return static_cast<Format>(at - names.begin());
}

std::string render(const Comparison& comparison, Format format) {
  const auto tables = tabulate(comparison);
  if (format == Format::csv) return render_csv(tables);
  if (format == Format::json) return render_json(tables);
  std::string out;
  for (const auto& table : tables) {
    out += (out.empty() ? "" : "\n") + (format == Format::table ? render_table(table) : render_markdown(table));
  }
  return out;
}

std::string metric_title(const std::string& metric) { return short_title(metric) + (is_percent(metric) ? " %" : ""); }

std::string p_title(const ComparisonTable& table) {
  if (table.reference.empty()) return "p";
  return "p (" + short_title(table.headline.front()) + " vs " + one_line(table.reference) + ")";
}

std::string p_text(const ComparisonTable& table, const TableRow& row) {
  if (row.name == table.reference && !row.baseline) return "-";
  const auto cell = row.cells.find(table.headline.front());
  return cell == row.cells.end() || !cell->second.test ? "" : to_string(*cell->second.test);
}

std::string cell_text(const TableRow& row, const std::string& metric) {
  const auto at = row.cells.find(metric);
  if (at == row.cells.end()) return "";
  const TableCell& cell = at->second;
  const auto n = std::ssize(cell.values);
  std::string text = fmt::format("{:.1f}", cell.mean);
  if (n > 1) text += fmt::format(" ± {:.1f}", cell.spread);
  if (n != row.n) text += fmt::format(" (n={})", n);
  return text;
}

std::string unfinished_text(const std::string& variant, const Unfinished& trial) {
  return one_line(
      fmt::format("{}: {} seed {}{}{}", trial.state, variant, trial.seed, trial.reason.empty() ? "" : ": ", trial.reason));
}

}  // namespace foil
