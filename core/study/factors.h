// SPDX-License-Identifier: BSD-3-Clause
// What was swept: the keys in which the variants of a table differ by plan, and what each of them explains.
#pragma once

#include "study/table.h"

#include <optional>
#include <string>
#include <vector>

namespace foil {

struct Factor {
  std::string key, title;           // "loss.temperature", "temperature"; "loss" of "loss.name"
  bool numeric = false;             // whether every level is a number
  std::vector<std::string> levels;  // numbers ascending, texts in the order of the plan
  std::vector<double> values;       // of the levels that are numbers
  std::vector<size_t> level_of;     // of each of Swept::rows
};

struct Swept {
  std::vector<const TableRow*> rows;  // the variants with results and a configuration
  std::vector<Factor> factors;        // in the order of their keys
  bool full = false;                  // a grid: every combination of levels is there, once
};

// A key counts as swept where the variants' names tell its values ("dcl temperature=0.1"); those that do not
// share the one that the experiment had. So what follows from another key (the options of a loss that was
// chosen) is none. Rows point into `table`.
Swept swept_of(const Comparison& comparison, const ComparisonTable& table);

// How the sum of squares of a metric over all trials of a full grid, each variant with the same seeds, parts:
// each factor's main effect, what only the factors together explain, and the rest, between seeds. They add up
// to 1. Nothing where the trials are no such grid or do not differ.
struct Shares {
  std::vector<double> factors;
  double together = 0, seeds = 0;
};
std::optional<Shares> variance_shares(const Swept& swept, const std::string& metric);

// The mean of the metric over the variants of one level, for each seed that all of them have.
BySeed level_values(const Swept& swept, const Factor& factor, size_t level, const std::string& metric);

// The row of a grid of two keys; the levels of the first and of the second factor.
const TableRow& row_at(const Swept& swept, size_t first, size_t second);

}  // namespace foil
