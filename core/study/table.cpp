// SPDX-License-Identifier: BSD-3-Clause
// Tabulates a comparison: what is best, level, tested. Printing is table_text.h and table_data.h.
#include "study/table.h"

#include "run/text.h"
#include "study/datasets.h"
#include "study/paper.h"
#include "study/table_data.h"
#include "study/table_text.h"

#include <foil/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <sstream>

namespace foil {
namespace {

// Metric -> its measure: what the first row says that says it, else what is known of old records.
std::map<std::string, Measure> measures_of(const std::vector<const Row*>& rows) {
  std::map<std::string, Measure> measures;
  for (const Row* row : rows) {
    for (const auto& [metric, values] : row->metrics) {
      if (const auto told = row->measures.find(metric); told != row->measures.end()) measures.insert(*told);
    }
  }
  for (const Row* row : rows) {
    for (const auto& [metric, values] : row->metrics) measures.try_emplace(metric, measure_of_old(metric));
  }
  return measures;
}

// All metrics, the headline ones first and by column.
std::vector<std::string> ordered_metrics(const std::map<std::string, Measure>& measures) {
  std::vector<std::string> ordered;
  for (const auto& [metric, measure] : measures) ordered.push_back(metric);
  std::stable_sort(ordered.begin(), ordered.end(), [&](const auto& a, const auto& b) {
    const Measure &first = measures.at(a), &second = measures.at(b);
    if (!first.headline || !second.headline) return first.headline && !second.headline;
    return first.column < second.column;
  });
  return ordered;
}

// Of a variant of which seeds were pruned the better ones are left: its numbers are shown, and take no part
// in what is best, level or tested.
bool is_pruned(const TableRow& row) {
  return std::any_of(row.unfinished.begin(), row.unfinished.end(),
                     [](const Unfinished& trial) { return trial.state == "pruned"; });
}

void mark_best(ComparisonTable& table, const std::string& metric) {
  const Measure& measure = table.measures.at(metric);
  std::vector<TableCell*> cells;
  for (auto& row : table.rows) {
    const auto cell = row.cells.find(metric);
    if (cell != row.cells.end() && !is_pruned(row)) cells.push_back(&cell->second);
  }
  if (cells.size() < 2 || measure.better == Better::neither) return;
  const auto* best = *std::min_element(cells.begin(), cells.end(), [&](const auto* a, const auto* b) {
    return is_better(measure, a->mean, b->mean);
  });
  for (auto* cell : cells) cell->best = cell->mean == best->mean;
}

void mark_level(ComparisonTable& table, const std::string& metric) {
  const Measure& measure = table.measures.at(metric);
  if (measure.better == Better::neither) return;
  const TableCell* best = nullptr;  // of the variants
  for (const auto& row : table.rows) {
    const auto cell = row.cells.find(metric);
    if (row.baseline || cell == row.cells.end() || is_pruned(row)) continue;
    if (!best || is_better(measure, cell->second.mean, best->mean)) best = &cell->second;
  }
  for (auto& row : table.rows) {
    const auto cell = row.cells.find(metric);
    if (row.baseline || cell == row.cells.end() || &cell->second == best || is_pruned(row)) continue;
    const PairedTest test = paired_test(cell->second.values, best->values);
    cell->second.level = test.low && *test.low <= 0 && *test.high >= 0;
  }
}

void test_against_reference(ComparisonTable& table, const std::string& name) {
  const auto reference = std::find_if(table.rows.begin(), table.rows.end(), [&](const TableRow& row) {
    return !row.baseline && (name.empty() ? !is_pruned(row) : row.name == name);
  });
  if (reference == table.rows.end()) return;
  table.reference = reference->name;
  if (is_pruned(*reference)) return;
  std::map<std::string, std::vector<PairedTest*>> by_metric;
  for (auto& row : table.rows) {
    if (row.baseline || row.name == reference->name || is_pruned(row)) continue;
    for (auto& [metric, cell] : row.cells) {
      const auto other = reference->cells.find(metric);
      cell.test =
          other == reference->cells.end() ? PairedTest{} : paired_test(cell.values, other->second.values);
      by_metric[metric].push_back(&*cell.test);
    }
  }
  for (const auto& [metric, tests] : by_metric) correct(tests);
}

// Wilson's interval of every accuracy whose hits are known, and that of its difference to the reference, in
// the unit of the metric, which is percent. `rows`: of the table's lines.
void add_test_set(ComparisonTable& table, const std::vector<const Row*>& rows) {
  const auto percent = [](const Interval& share) { return Interval{100 * share.low, 100 * share.high}; };
  const Row* reference = nullptr;
  for (const Row* row : rows)
    if (!row->baseline && row->name == table.reference) reference = row;
  for (size_t i = 0; i < rows.size(); ++i) {
    for (const auto& [metric, hits] : rows[i]->hits) {
      const auto at = table.rows[i].cells.find(metric);
      if (at == table.rows[i].cells.end()) continue;
      TableCell& cell = at->second;
      cell.samples = std::ssize(*hits.begin()->second);
      cell.by_samples = percent(wilson(cell.mean / 100, cell.samples));
      if (!cell.test || !reference || !reference->hits.contains(metric)) continue;
      if (const auto interval = difference_over_samples(hits, reference->hits.at(metric)))
        cell.difference_by_samples = percent(*interval);
    }
  }
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

std::string interval_text(const Measure& measure, double low, double high) {
  return "[" + difference_text(measure, low) + ", " + difference_text(measure, high) + "]";
}

// What the test samples alone say of the reference; empty where that is not known.
std::string test_set_note(const ComparisonTable& table) {
  const auto row = std::find_if(table.rows.begin(), table.rows.end(), [&](const TableRow& one) {
    return !one.baseline && one.name == table.reference;
  });
  if (row == table.rows.end() || table.headline.empty()) return "";
  const auto cell = row->cells.find(table.headline.front());
  if (cell == row->cells.end() || !cell->second.by_samples) return "";
  const Measure& measure = table.measures.at(cell->first);
  return fmt::format(
      "The choice of the {} test samples alone gives {} of {} the 95 % interval [{}, {}] (Wilson).",
      fmt::group_digits(cell->second.samples), printable(measure.title), one_line(row->name),
      value_text(measure, cell->second.by_samples->low), value_text(measure, cell->second.by_samples->high));
}

const std::string& metric_or_first(const ComparisonTable& table, const std::string& metric) {
  return metric.empty() ? table.headline.front() : metric;
}

// Whether all that one row measured was measured alike in another, which may have measured more: each word of
// a protocol is the data set or how a headline number was measured.
bool part_of(const std::string& protocol, const std::string& other) {
  const auto words = [](const std::string& text) {
    std::istringstream in(text);
    return std::set<std::string>(std::istream_iterator<std::string>(in), {});
  };
  const auto part = words(protocol), whole = words(other);
  return std::includes(whole.begin(), whole.end(), part.begin(), part.end());
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

}  // namespace

std::vector<ComparisonTable> tabulate(const Comparison& comparison, const std::string& reference) {
  std::vector<ComparisonTable> tables;
  std::vector<std::string> data;              // of each table
  std::vector<std::vector<const Row*>> rows;  // of each table
  const auto index_of = [&](const Row& row) {
    for (size_t i = 0; i < tables.size(); ++i) {
      if (row.protocol.empty()) return i;  // a row without results stands in the first table
      std::string& protocol = tables[i].protocol;
      if ((!part_of(row.protocol, protocol) && !part_of(protocol, row.protocol)) ||
          (data[i] != row.data && !data[i].empty() && !row.data.empty()))
        continue;
      if (part_of(protocol, row.protocol)) protocol = row.protocol;
      return i;
    }
    tables.emplace_back().protocol = row.protocol;
    data.push_back(row.data);
    rows.emplace_back();
    return tables.size() - 1;
  };
  for (const auto& row :
       comparison.rows) {  // tables in the order of first appearance, those of rows without results last
    if (row.protocol.empty()) continue;
    if (std::string& known = data[index_of(row)]; known.empty()) known = row.data;
  }
  for (const auto& row : comparison.rows) {
    TableRow line{row.name,    row.baseline,   std::ssize(row.folders),
                  {},          row.unfinished, row.variant.empty() ? row.name : row.variant,
                  row.efforts, row.outcomes};
    for (const auto& [metric, values] : row.metrics)
      line.cells[metric] = {values, mean(values), sample_std(values), false, false, std::nullopt};
    const size_t i = index_of(row);
    tables[i].rows.push_back(std::move(line));
    rows[i].push_back(&row);
  }
  for (size_t i = 0; i < tables.size(); ++i) {
    ComparisonTable& table = tables[i];
    table.data_set = table.protocol.substr(0, table.protocol.find(' ')) + " " + data[i];
    if (!data[i].empty()) table.protocol += " data " + data[i];
    table.measures = measures_of(rows[i]);
    table.metrics = ordered_metrics(table.measures);
    std::copy_if(table.metrics.begin(), table.metrics.end(), std::back_inserter(table.headline),
                 [&](const std::string& metric) { return table.measures.at(metric).headline; });
    for (const auto& metric : table.headline) {
      mark_best(table, metric);
      mark_level(table, metric);
    }
    test_against_reference(table, reference);
    add_test_set(table, rows[i]);
  }
  require_reference(tables, reference);
  return tables;
}

Format parse_format(const std::string& name) {
  const std::vector<std::string> names = {"table", "csv", "json", "markdown", "latex"};
  const auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end()) fail(Exit::usage, "unknown format ", name, ".", known_names("formats", name, names));
  return static_cast<Format>(at - names.begin());
}

std::string render(const Comparison& comparison, Format format, const std::string& reference) {
  if (format == Format::csv) return render_csv(tabulate(comparison, reference));
  if (format == Format::json) return render_json(tabulate(comparison, reference));
  const Comparison named = labelled(comparison);
  const auto tables = tabulate(named, label_of(reference, comparison.labels));
  if (format == Format::table) return render_text(tables);
  return format == Format::latex ? paper_latex(named, tables)
                                 : render_markdown(tables) + pivots_markdown(named, tables);
}

bool has_tests(const ComparisonTable& table) { return !shown_tests(table).empty(); }

std::string difference_title(const ComparisonTable& table, const std::string& metric) {
  return printable(table.measures.at(metric_or_first(table, metric)).title + " - " + table.reference);
}

std::string difference_text(const ComparisonTable& table, const TableRow& row, const std::string& metric) {
  const auto cell = row.cells.find(metric_or_first(table, metric));
  if (cell == row.cells.end() || !cell->second.test || cell->second.test->pairs == 0) return "";
  const PairedTest& test = *cell->second.test;
  const Measure& measure = table.measures.at(cell->first);
  return difference_text(measure, test.difference) +
         (test.low ? " " + interval_text(measure, *test.low, *test.high) : "");
}

std::string p_text(const ComparisonTable& table, const TableRow& row, const std::string& metric) {
  if (is_pruned(row)) return "pruned";
  if (row.name == table.reference && !row.baseline) return "-";
  const auto cell = row.cells.find(metric_or_first(table, metric));
  if (cell == row.cells.end() || !cell->second.test) return "";
  return cell->second.test->holm ? p_text(*cell->second.test->holm) : "n < 3";
}

bool has_test_set(const ComparisonTable& table, const std::string& metric) {
  return !table.headline.empty() &&
         std::any_of(table.rows.begin(), table.rows.end(),
                     [&](const TableRow& row) { return !test_set_text(table, row, metric).empty(); });
}

std::string test_set_text(const ComparisonTable& table, const TableRow& row, const std::string& metric) {
  const auto cell = row.cells.find(metric_or_first(table, metric));
  if (cell == row.cells.end() || !cell->second.difference_by_samples) return "";
  const Interval& interval = *cell->second.difference_by_samples;
  return interval_text(table.measures.at(cell->first), interval.low, interval.high);
}

std::vector<std::string> notes(const ComparisonTable& table) {
  std::vector<std::string> all;
  const auto better = [&](const std::string& metric) { return table.measures.at(metric).better; };
  if (std::any_of(table.headline.begin(), table.headline.end(),
                  [&](const auto& metric) { return better(metric) == Better::lower; }))
    all.push_back("↓ lower is better.");
  if (const std::string text = test_set_note(table); !text.empty()) all.push_back(text);
  const auto tests = shown_tests(table);
  if (tests.empty()) return all;
  const bool level = std::any_of(table.rows.begin(), table.rows.end(), [](const TableRow& row) {
    return std::any_of(row.cells.begin(), row.cells.end(),
                       [](const auto& cell) { return cell.second.level; });
  });
  if (level)
    all.push_back("= level with the best variant: the 95 % interval of the difference by seed holds 0.");
  const auto variants = std::ssize(tests);
  int64_t pairs = 0;
  for (const auto* test : tests) pairs = std::max(pairs, test->pairs);
  const std::string side =
      better(table.headline.front()) == Better::lower ? " (below 0 is better than the reference)" : "";
  std::string text = "Differences by seed" + side + " with their 95 % interval; p: exact sign-flip test";
  if (variants > 1) text += fmt::format(", corrected for {} variants (Holm)", variants);
  all.push_back(text + ".");
  if (has_test_set(table))
    all.push_back(
        "By samples: the 95 % interval of the difference by the choice of the test samples alone, the "
        "trained models held.");
  if (pairs == 0) {
    all.push_back("No seed is shared with " + one_line(table.reference) + ".");
  } else if (smallest_p(pairs, variants) >= 0.05) {
    const std::string seeds = pairs == 1 ? "1 seed" : std::to_string(pairs) + " seeds";
    all.push_back(fmt::format("{} cannot reach p < 0.05 here, {} can.", seeds, pairs_for(0.05, variants)));
  }
  return all;
}

std::string cell_text(const ComparisonTable& table, const TableRow& row, const std::string& metric) {
  const auto at = row.cells.find(metric);
  if (at == row.cells.end()) return "";
  const TableCell& cell = at->second;
  const auto n = std::ssize(cell.values);
  const Measure& measure = table.measures.at(metric);
  std::string text = value_text(measure, cell.mean);
  if (n > 1) text += " ± " + value_text(measure, cell.spread);
  if (n != row.n) text += fmt::format(" (n={})", n);
  return text;
}

std::string unfinished_text(const std::string& variant, const Unfinished& trial) {
  return one_line(fmt::format("{}: {} seed {}{}{}", trial.state, variant, trial.seed,
                              trial.reason.empty() ? "" : ": ", trial.reason));
}

}  // namespace foil
