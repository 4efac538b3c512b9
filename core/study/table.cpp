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

void mark_level(ComparisonTable& table, const std::string& metric) {
  const TableCell* best = nullptr;  // of the variants
  for (const auto& row : table.rows) {
    const auto cell = row.cells.find(metric);
    if (!row.baseline && cell != row.cells.end() && (!best || cell->second.mean > best->mean)) best = &cell->second;
  }
  for (auto& row : table.rows) {
    const auto cell = row.cells.find(metric);
    if (row.baseline || cell == row.cells.end() || &cell->second == best) continue;
    const PairedTest test = paired_test(cell->second.values, best->values);
    cell->second.level = test.low && *test.low <= 0 && *test.high >= 0;
  }
}

void test_against_reference(ComparisonTable& table, const std::string& name) {
  const auto reference = std::find_if(table.rows.begin(), table.rows.end(),
                                      [&](const TableRow& row) { return !row.baseline && (name.empty() || row.name == name); });
  if (reference == table.rows.end()) return;
  table.reference = reference->name;
  std::map<std::string, std::vector<PairedTest*>> by_metric;
  for (auto& row : table.rows) {
    if (row.baseline || row.name == reference->name) continue;
    for (auto& [metric, cell] : row.cells) {
      const auto other = reference->cells.find(metric);
      cell.test = other == reference->cells.end() ? PairedTest{} : paired_test(cell.values, other->second.values);
      by_metric[metric].push_back(&*cell.test);
    }
  }
  for (const auto& [metric, tests] : by_metric) correct(tests);
}

// The tests of the first headline metric: what the printed table shows.
std::vector<const PairedTest*> shown_tests(const ComparisonTable& table) {
  std::vector<const PairedTest*> tests;
  for (const auto& row : table.rows) {
    if (table.headline.empty()) break;
    const auto cell = row.cells.find(table.headline.front());
    if (cell != row.cells.end() && cell->second.test) tests.push_back(&*cell->second.test);
  }
  return tests;
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
                                           const std::function<std::string(const std::string&, const TableCell*)>& mark) {
  std::vector<std::vector<std::string>> lines(1);
  lines[0].push_back("variant");
  for (const auto& metric : table.headline) lines[0].push_back(mark(metric_title(metric), nullptr));
  lines[0].push_back("n");
  const bool tested = !shown_tests(table).empty();
  if (tested) lines[0].insert(lines[0].end(), {difference_title(table), "p"});
  for (const auto& row : table.rows) {
    auto& line = lines.emplace_back();
    line.push_back(one_line(row.name));
    for (const auto& metric : table.headline) {
      const auto cell = row.cells.find(metric);
      line.push_back(mark(cell_text(row, metric), cell == row.cells.end() ? nullptr : &cell->second));
    }
    line.push_back(std::to_string(row.n));
    if (tested) line.insert(line.end(), {difference_text(table, row), p_text(table, row)});
  }
  return lines;
}

std::string render_table(const ComparisonTable& table) {
  const auto lines = grid(table, [](const std::string& text, const TableCell* cell) {
    if (cell && cell->best) return "* " + text;
    return (cell && cell->level ? "= " : "  ") + text;
  });
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
  for (const auto& note : notes(table)) out += note + "\n";
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
  const auto lines = grid(table, [](const std::string& text, const TableCell* cell) {
    if (cell && cell->best) return "**" + text + "**";
    return text + (cell && cell->level ? " =" : "");
  });
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
  std::string remarks;
  for (const auto& row : table.rows) {
    for (const auto& trial : row.unfinished) remarks += "- " + escape(unfinished_text(row.name, trial)) + "\n";
  }
  for (const auto& note : notes(table)) remarks += "- " + escape(note) + "\n";
  return remarks.empty() ? out : out + "\n" + remarks;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

// One line a variant and metric; a variant without results has one line with the metric empty.
std::string render_csv(const std::vector<ComparisonTable>& tables) {
  const auto number = [](const std::optional<double>& x) { return x ? fmt::format("{:.10g}", *x) : std::string(); };
  std::string out =
      "protocol,variant,metric,n,mean,spread,best,level,pairs,difference,low,high,p_t,p_sign_flip,p_holm,values,unfinished\n";
  for (const auto& table : tables) {
    for (const auto& row : table.rows) {
      std::string unfinished;
      for (const auto& trial : row.unfinished) unfinished += (unfinished.empty() ? "" : "; ") + unfinished_text(row.name, trial);
      const auto line = [&](const std::string& numbers) {
        out += csv_field(table.protocol) + "," + csv_field(row.name) + "," + numbers + "," + csv_field(unfinished) + "\n";
      };
      if (row.cells.empty()) line(",0,,,,,,,,,,,,");
      for (const auto& metric : table.metrics) {
        const auto at = row.cells.find(metric);
        if (at == row.cells.end()) continue;
        const TableCell& cell = at->second;
        std::string values;
        for (const auto& [seed, value] : cell.values) values += fmt::format("{}{}:{}", values.empty() ? "" : " ", seed, value);
        const std::string spread = cell.values.size() < 2 ? "" : fmt::format("{:.10g}", cell.spread);
        std::string test = ",,,,,,";
        if (cell.test) {
          const PairedTest& t = *cell.test;
          test = fmt::format("{},{},{},{},{},{},{}", t.pairs, t.pairs > 0 ? number(t.difference) : "", number(t.low),
                             number(t.high), number(t.p), number(t.sign_flip), number(t.holm));
        }
        line(fmt::format("{},{},{:.10g},{},{},{},{},{}", csv_field(metric), cell.values.size(), cell.mean, spread,
                         cell.best ? 1 : 0, cell.level ? 1 : 0, test, values));
      }
    }
  }
  return out;
}

nlohmann::ordered_json json_of(const PairedTest& test) {
  const auto number = [](const std::optional<double>& x) { return x ? nlohmann::ordered_json(*x) : nlohmann::ordered_json(); };
  return {{"pairs", test.pairs},
          {"difference", test.pairs > 0 ? nlohmann::ordered_json(test.difference) : nlohmann::ordered_json()},
          {"interval", {number(test.low), number(test.high)}},
          {"p_t", number(test.p)},
          {"p_sign_flip", number(test.sign_flip)},
          {"p_holm", number(test.holm)}};
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
        metrics[metric] = {{"n", cell.values.size()}, {"mean", cell.mean}, {"spread", nullptr}, {"best", cell.best},
                           {"level", cell.level},     {"test", nullptr},   {"values", values}};
        if (cell.values.size() > 1) metrics[metric]["spread"] = cell.spread;
        if (cell.test) metrics[metric]["test"] = json_of(*cell.test);
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

void require_reference(const std::vector<ComparisonTable>& tables, const std::string& name) {
  std::vector<std::string> known;
  for (const auto& table : tables) {
    if (name.empty() || table.reference == name) return;
    for (const auto& row : table.rows)
      if (!row.baseline) known.push_back(row.name);
  }
  fail(Exit::usage, "--reference ", name, ": no such variant.", known_names("variants", name, known));
}

std::string signed_text(double x) { return fmt::format("{:+.1f}", x); }

}  // namespace

std::vector<ComparisonTable> tabulate(const Comparison& comparison, const std::string& reference) {
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
      line.cells[metric] = {values, mean(values), sample_std(values), false, false, std::nullopt};
    table_of(row.protocol).rows.push_back(std::move(line));
  }
  for (auto& table : tables) {
    table.metrics = ordered_metrics(table.rows);
    std::copy_if(table.metrics.begin(), table.metrics.end(), std::back_inserter(table.headline), is_headline);
    for (const auto& metric : table.headline) {
      mark_best(table, metric);
      mark_level(table, metric);
    }
    test_against_reference(table, reference);
  }
  require_reference(tables, reference);
  return tables;
}

Format parse_format(const std::string& name) {
  const std::vector<std::string> names = {"table", "csv", "json", "markdown"};
  const auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end()) fail(Exit::usage, "unknown format ", name, ".", known_names("formats", name, names));
  return static_cast<Format>(at - names.begin());
}

std::string render(const Comparison& comparison, Format format, const std::string& reference) {
  const auto tables = tabulate(comparison, reference);
  if (format == Format::csv) return render_csv(tables);
  if (format == Format::json) return render_json(tables);
  std::string out;
  for (const auto& table : tables) {
    out += (out.empty() ? "" : "\n") + (format == Format::table ? render_table(table) : render_markdown(table));
  }
  return out;
}

std::string metric_title(const std::string& metric) { return short_title(metric) + (is_percent(metric) ? " %" : ""); }

std::string difference_title(const ComparisonTable& table) {
  return short_title(table.headline.front()) + " - " + one_line(table.reference);
}

std::string difference_text(const ComparisonTable& table, const TableRow& row) {
  const auto cell = row.cells.find(table.headline.front());
  if (cell == row.cells.end() || !cell->second.test || cell->second.test->pairs == 0) return "";
  const PairedTest& test = *cell->second.test;
  const std::string interval = test.low ? " [" + signed_text(*test.low) + ", " + signed_text(*test.high) + "]" : "";
  return signed_text(test.difference) + interval;
}

std::string p_text(const ComparisonTable& table, const TableRow& row) {
  if (row.name == table.reference && !row.baseline) return "-";
  const auto cell = row.cells.find(table.headline.front());
  if (cell == row.cells.end() || !cell->second.test) return "";
  return cell->second.test->holm ? p_text(*cell->second.test->holm) : "n < 3";
}

std::vector<std::string> notes(const ComparisonTable& table) {
  std::vector<std::string> all;
  const auto tests = shown_tests(table);
  if (tests.empty()) return all;
  const bool level = std::any_of(table.rows.begin(), table.rows.end(), [](const TableRow& row) {
    return std::any_of(row.cells.begin(), row.cells.end(), [](const auto& cell) { return cell.second.level; });
  });
  if (level) all.push_back("= level with the best variant: the 95 % interval of the difference by seed holds 0.");
  const auto variants = std::ssize(tests);
  int64_t pairs = 0;
  for (const auto* test : tests) pairs = std::max(pairs, test->pairs);
  std::string text = "Differences by seed with their 95 % interval; p: exact sign-flip test";
  if (variants > 1) text += fmt::format(", corrected for {} variants (Holm)", variants);
  all.push_back(text + ".");
  if (pairs == 0) {
    all.push_back("No seed is shared with " + one_line(table.reference) + ".");
  } else if (smallest_p(pairs, variants) >= 0.05) {
    const std::string seeds = pairs == 1 ? "1 seed" : std::to_string(pairs) + " seeds";
    all.push_back(fmt::format("{} cannot reach p < 0.05 here, {} can.", seeds, pairs_for(0.05, variants)));
  }
  return all;
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
