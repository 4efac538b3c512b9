// SPDX-License-Identifier: BSD-3-Clause
// Interquartile means and probabilities of improvement over data sets.
#include "study/datasets.h"

#include "run/text.h"

#include <foil/random.h>

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

namespace foil {
namespace {

// The row of a variant in a table; null where it has none, or two of that name.
const TableRow* row_of(const ComparisonTable& table, const std::string& variant) {
  const TableRow* found = nullptr;
  for (const auto& row : table.rows) {
    if (row.baseline || row.variant != variant) continue;
    if (found) return nullptr;
    found = &row;
  }
  return found;
}

// The values of a variant on each data set; empty unless it has some on all.
Strata strata_of(const std::vector<ComparisonTable>& tables, const std::string& variant,
                 const std::string& metric) {
  Strata strata;
  for (const auto& table : tables) {
    const TableRow* row = row_of(table, variant);
    const auto cell = row ? row->cells.find(metric) : std::map<std::string, TableCell>::const_iterator{};
    if (!row || cell == row->cells.end()) return {};
    auto& values = strata.emplace_back();
    for (const auto& [seed, value] : cell->second.values) values.push_back(value);
  }
  return strata;
}

std::string reference_of(const std::vector<ComparisonTable>& tables) {
  std::set<std::string> names;
  for (const auto& table : tables) {
    for (const auto& row : table.rows)
      if (!row.baseline && row.name == table.reference) names.insert(row.variant);
  }
  return names.size() == 1 ? *names.begin() : "";
}

bool all_share(const std::vector<ComparisonTable>& tables, const std::string& metric) {
  const Measure& first = tables[0].measures.at(metric);
  return first.better != Better::neither &&
         std::all_of(tables.begin(), tables.end(), [&](const ComparisonTable& table) {
           const auto at = table.measures.find(metric);
           return at != table.measures.end() && at->second.headline && at->second.unit == first.unit &&
                  at->second.better == first.better;
         });
}

Pooled::Row pooled_row(const std::string& variant, const Strata& own, const Strata& reference,
                       Better better) {
  Pooled::Row row;
  row.variant = variant;
  const auto middle = [](const std::vector<Strata>& groups) { return interquartile_mean(groups[0]); };
  row.middle = middle({own});
  std::tie(row.low, row.high) = stratified_interval({own}, middle);
  if (reference.empty()) return row;
  const auto improvement = [&](const std::vector<Strata>& groups) {
    return better == Better::higher ? improvement_probability(groups[0], groups[1])
                                    : improvement_probability(groups[1], groups[0]);
  };
  row.improvement = improvement({own, reference});
  std::tie(row.improvement_low, row.improvement_high) = stratified_interval({own, reference}, improvement);
  return row;
}

}  // namespace

double interquartile_mean(const Strata& values) {
  std::vector<double> all;
  for (const auto& part : values) all.insert(all.end(), part.begin(), part.end());
  std::sort(all.begin(), all.end());
  const auto cut = static_cast<std::ptrdiff_t>(all.size() / 4);
  return std::accumulate(all.begin() + cut, all.end() - cut, 0.0) /
         static_cast<double>(std::ssize(all) - 2 * cut);
}

double improvement_probability(const Strata& a, const Strata& b) {
  double total = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    double wins = 0;
    for (const double x : a[i])
      for (const double y : b[i]) wins += x > y ? 1 : (x == y ? 0.5 : 0);
    total += wins / static_cast<double>(a[i].size() * b[i].size());
  }
  return total / static_cast<double>(a.size());
}

std::pair<double, double> stratified_interval(
    const std::vector<Strata>& groups, const std::function<double(const std::vector<Strata>&)>& statistic) {
  constexpr size_t kResamples = 2000;
  std::vector<double> values(kResamples);
  std::vector<Strata> drawn = groups;
  for (size_t i = 0; i < kResamples; ++i) {
    Draws draws(name_key("strata"), i);
    for (size_t group = 0; group < groups.size(); ++group) {
      for (size_t part = 0; part < groups[group].size(); ++part) {
        const auto& from = groups[group][part];
        for (double& value : drawn[group][part])
          value = from[static_cast<size_t>(draws.below(std::ssize(from)))];
      }
    }
    values[i] = statistic(drawn);
  }
  std::sort(values.begin(), values.end());
  return {quantile_of_sorted(values, 0.025), quantile_of_sorted(values, 0.975)};
}

std::vector<Pooled> pool(const std::vector<ComparisonTable>& tables) {
  std::set<std::string> data_sets;
  for (const auto& table : tables) data_sets.insert(table.data_set);
  if (tables.size() < 2 || data_sets.size() < tables.size()) return {};
  std::vector<Pooled> all;
  const std::string reference = reference_of(tables);
  for (const auto& metric : tables[0].headline) {
    if (!all_share(tables, metric)) continue;
    Pooled pooled{metric, reference, tables[0].measures.at(metric), std::ssize(tables), {}};
    const Strata of_reference = reference.empty() ? Strata{} : strata_of(tables, reference, metric);
    for (const auto& row : tables[0].rows) {
      const Strata own = row.baseline ? Strata{} : strata_of(tables, row.variant, metric);
      if (own.empty()) continue;
      pooled.rows.push_back(pooled_row(row.variant, own, row.variant == reference ? Strata{} : of_reference,
                                       pooled.measure.better));
    }
    if (pooled.rows.size() > 1) all.push_back(std::move(pooled));
  }
  return all;
}

std::vector<std::vector<std::string>> pooled_grid(const Pooled& pooled) {
  const auto text = [&](double value) { return value_text(pooled.measure, value); };
  std::vector<std::vector<std::string>> lines = {{"variant", heading(pooled.measure)}};
  if (!pooled.reference.empty()) lines[0].push_back("better than " + printable(pooled.reference));
  for (const auto& row : pooled.rows) {
    lines.push_back({printable(row.variant),
                     fmt::format("{} [{}, {}]", text(row.middle), text(row.low), text(row.high))});
    if (pooled.reference.empty()) continue;
    lines.back().push_back(row.improvement
                               ? fmt::format("{:.0f} % [{:.0f}, {:.0f}]", 100 * *row.improvement,
                                             100 * row.improvement_low, 100 * row.improvement_high)
                               : "-");
  }
  return lines;
}

std::string pooled_note(const Pooled& pooled) {
  return fmt::format(
      "Over {} data sets: interquartile mean of all seeds with its 95 % interval{} (bootstrap within each "
      "data "
      "set).",
      pooled.data_sets,
      pooled.reference.empty() ? ""
                               : ", and the probability that a seed is better than one of the reference");
}

}  // namespace foil
