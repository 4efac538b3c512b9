// SPDX-License-Identifier: BSD-3-Clause
// Tables for a paper, in LaTeX (booktabs) and Markdown: every headline metric with its difference, interval
// and p, where they are many a table each, and over a grid of two keys a pivot for each; as many digits as
// the spread over seeds is worth.
#pragma once

#include "study/table.h"

#include <string>
#include <vector>

namespace foil {

// `comparison` is what the tables were made of: it knows the grid.
std::string paper_latex(const Comparison& comparison, const std::vector<ComparisonTable>& tables);
std::string paper_markdown(const Comparison& comparison, const std::vector<ComparisonTable>& tables);
// The pivots alone, each led by an empty line; empty where no table is a grid of two keys.
std::string pivots_markdown(const Comparison& comparison, const std::vector<ComparisonTable>& tables);

// Of more headline metrics than this a table with a difference and a p beside each is too wide.
constexpr int64_t kMostBeside = 4;

// Digits after the point that show one significant digit of the median spread over seeds, two where the first
// is 1; those of the measure where no variant has a spread.
int64_t digits_of_spread(const ComparisonTable& table, const std::string& metric);

}  // namespace foil
