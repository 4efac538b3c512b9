// SPDX-License-Identifier: BSD-3-Clause
// Finds the swept keys in the configurations and names of variants, and takes the variance apart.
#include "study/factors.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

namespace foil {
namespace {

struct Known {  // a variant whose configuration is known
  const Row* row;
  const TableRow* line;
};

std::optional<double> number_of(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  const bool whole = error == std::errc() && stop == end && std::isfinite(value);
  return whole ? std::optional(value) : std::nullopt;
}

// As a plan writes it: a text without quotes, 1.0 as 1. Empty where the key is not set.
std::string level_text(const Row& row, const std::string& key) {
  const auto at = row.config.find(key);
  if (at == row.config.end()) return "";
  std::string text = at->second;
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') return text.substr(1, text.size() - 2);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

// Whether the variant's name says that the key has this value: by the value alone, or behind a tail of the
// key.
bool is_named(const Row& row, const std::string& key, const std::string& level) {
  const std::string& variant = row.plain.empty() ? row.name : row.plain;
  const std::string name = " " + variant + " ";
  const bool is_number = number_of(level).has_value();
  if (!is_number && name.find(" " + level + " ") != std::string::npos) return true;
  for (size_t begin = 0;; ++begin) {
    if (name.find(" " + key.substr(begin) + "=" + level + " ") != std::string::npos) return true;
    begin = key.find('.', begin);
    if (begin == std::string::npos) return false;
  }
}

bool is_swept(const std::vector<Known>& known, const std::string& key) {
  std::set<std::string> levels, unnamed;
  for (const Known& one : known) {
    const std::string level = level_text(*one.row, key);
    if (level.empty()) return false;
    levels.insert(level);
    if (!is_named(*one.row, key, level)) unnamed.insert(level);
  }
  return levels.size() > 1 && unnamed.size() <= 1;
}

Factor factor_of(const std::vector<Known>& known, const std::string& key) {
  Factor factor{key, key.substr(key.rfind('.') + 1), true, {}, {}, {}};
  if (key.ends_with(".name")) factor.title = key.substr(0, key.size() - 5);
  for (const Known& one : known) {
    const std::string level = level_text(*one.row, key);
    factor.numeric = factor.numeric && number_of(level);
    if (std::find(factor.levels.begin(), factor.levels.end(), level) == factor.levels.end())
      factor.levels.push_back(level);
  }
  if (factor.numeric)
    std::stable_sort(factor.levels.begin(), factor.levels.end(),
                     [](const auto& a, const auto& b) { return *number_of(a) < *number_of(b); });
  for (const auto& level : factor.levels)
    if (factor.numeric) factor.values.push_back(*number_of(level));
  for (const Known& one : known) {
    const auto at = std::find(factor.levels.begin(), factor.levels.end(), level_text(*one.row, key));
    factor.level_of.push_back(static_cast<size_t>(at - factor.levels.begin()));
  }
  return factor;
}

bool is_full(const Swept& swept) {
  size_t combinations = 1;
  for (const Factor& factor : swept.factors) combinations *= factor.levels.size();
  std::set<std::vector<size_t>> seen;
  for (size_t row = 0; row < swept.rows.size(); ++row) {
    std::vector<size_t> combination;
    for (const Factor& factor : swept.factors) combination.push_back(factor.level_of[row]);
    seen.insert(combination);
  }
  return !swept.factors.empty() && seen.size() == combinations && swept.rows.size() == combinations;
}

double sum_of_squares(const std::vector<double>& values) {
  double mean = 0, sum = 0;
  for (const double value : values) mean += value / static_cast<double>(values.size());
  for (const double value : values) sum += (value - mean) * (value - mean);
  return sum;
}

}  // namespace

Swept swept_of(const Comparison& comparison, const ComparisonTable& table) {
  std::vector<Known> known;
  std::set<std::string> keys;
  for (const TableRow& line : table.rows) {
    const auto row = std::find_if(comparison.rows.begin(), comparison.rows.end(), [&](const Row& one) {
      return one.name == line.name && one.baseline == line.baseline && !one.config.empty();
    });
    if (line.baseline || line.cells.empty() || row == comparison.rows.end()) continue;
    known.push_back({&*row, &line});
    for (const auto& [key, value] : row->config) keys.insert(key);
  }
  Swept swept;
  for (const Known& one : known) swept.rows.push_back(one.line);
  for (const std::string& key : keys) {
    const bool of_the_run = key == "run.seed" || key == "run.name" || key == "run.output";
    if (!of_the_run && is_swept(known, key)) swept.factors.push_back(factor_of(known, key));
  }
  for (Factor& factor : swept.factors) {
    const auto same = std::count_if(swept.factors.begin(), swept.factors.end(),
                                    [&](const Factor& other) { return other.title == factor.title; });
    if (same > 1) factor.title = factor.key;
  }
  swept.full = is_full(swept);
  return swept;
}

BySeed level_values(const Swept& swept, const Factor& factor, size_t level, const std::string& metric) {
  BySeed sums;
  double variants = 0;
  std::map<int64_t, double> counts;
  for (size_t i = 0; i < swept.rows.size(); ++i) {
    const auto cell = swept.rows[i]->cells.find(metric);
    if (factor.level_of[i] != level || cell == swept.rows[i]->cells.end()) continue;
    ++variants;
    for (const auto& [seed, value] : cell->second.values) sums[seed] += value, ++counts[seed];
  }
  BySeed means;
  for (const auto& [seed, sum] : sums)
    if (counts[seed] == variants) means[seed] = sum / variants;
  return means;
}

std::optional<Shares> variance_shares(const Swept& swept, const std::string& metric) {
  if (!swept.full) return std::nullopt;
  std::vector<double> values, of_variants;
  const BySeed* first = nullptr;
  for (const TableRow* row : swept.rows) {
    const auto cell = row->cells.find(metric);
    if (cell == row->cells.end()) return std::nullopt;
    const BySeed& own = cell->second.values;
    if (!first) first = &own;
    const bool same_seeds = std::equal(own.begin(), own.end(), first->begin(), first->end(),
                                       [](const auto& a, const auto& b) { return a.first == b.first; });
    if (!same_seeds) return std::nullopt;
    for (const auto& [seed, value] : own) values.push_back(value);
    of_variants.push_back(cell->second.mean);
  }
  const double total = sum_of_squares(values), seeds = static_cast<double>(first->size());
  if (!(total > 0)) return std::nullopt;
  Shares shares;
  const double between = seeds * sum_of_squares(of_variants) / total;
  shares.together = between;
  for (const Factor& factor : swept.factors) {
    std::vector<double> means(factor.levels.size());
    const double per_level =
        static_cast<double>(swept.rows.size()) / static_cast<double>(factor.levels.size());
    for (size_t i = 0; i < swept.rows.size(); ++i) means[factor.level_of[i]] += of_variants[i] / per_level;
    shares.factors.push_back(seeds * per_level * sum_of_squares(means) / total);
    shares.together -= shares.factors.back();
  }
  shares.together = std::max(0.0, shares.together);
  shares.seeds = std::max(0.0, 1 - between);
  return shares;
}

const TableRow& row_at(const Swept& swept, size_t first, size_t second) {
  size_t i = 0;
  while (swept.factors[0].level_of[i] != first || swept.factors[1].level_of[i] != second) ++i;
  return *swept.rows[i];
}

}  // namespace foil
