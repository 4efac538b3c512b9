// SPDX-License-Identifier: BSD-3-Clause
// The comparison as tables: one per evaluation protocol and data set, because numbers of two do not compare.
// A row that lacks some of the measures of others, and has the rest as they have it, stands with them.
#pragma once

#include "study/comparison.h"
#include "study/test_set.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace foil {

struct TableCell {
  BySeed values;  // never empty
  double mean = 0, spread = 0;
  bool best = false;   // the best mean of a headline metric that several rows have; none of a diagnosis
  bool level = false;  // a variant's whose 95 % interval of the difference to the best variant holds 0
  std::optional<PairedTest> test;  // against the table's reference; none for the reference and for baselines
  // What the choice of the test samples alone gives, where trials kept their hits: of one trial with this
  // mean, and of `test`'s difference.
  std::optional<Interval> by_samples = {}, difference_by_samples = {};
  int64_t samples = 0;
};

struct TableRow {
  std::string name;
  bool baseline = false;
  int64_t n = 0;                           // trials with results
  std::map<std::string, TableCell> cells;  // by metric
  std::vector<Unfinished> unfinished;
  std::string variant = {};                // Row::variant
  std::map<int64_t, Effort> efforts = {};  // Row::efforts
  Outcomes outcomes = {};
};

struct ComparisonTable {
  std::string data_set;   // what tells it from other data sets: its name and, where known, its checksum
  std::string protocol;   // "PROTOCOL data crc32:..." where the data is known
  std::string reference;  // the variant that the others are tested against; empty when there is none
  std::vector<std::string> headline;        // metrics in the printed table, in the order of their columns
  std::vector<std::string> metrics;         // all of them, the headline first
  std::map<std::string, Measure> measures;  // of all of them
  std::vector<TableRow> rows;
};

// `reference`: the name of a variant; empty = the first one. Throws Error (Exit::usage) for a name that no
// table has.
std::vector<ComparisonTable> tabulate(const Comparison& comparison, const std::string& reference = "");

enum class Format { table, csv, json, markdown, latex };
Format parse_format(const std::string& name);  // Exit::usage for an unknown one

// Ends with a newline.
std::string render(const Comparison& comparison, Format format, const std::string& reference = "");

// What the formats share with the report. Tests are of `metric`, or of the first headline metric.
bool has_tests(const ComparisonTable& table);  // whether the next three have something to say
std::string difference_title(const ComparisonTable& table,
                             const std::string& metric = "");  // "kNN - infonce"
std::string difference_text(const ComparisonTable& table, const TableRow& row,
                            const std::string& metric = "");  // "+0.3 [-0.1, +0.7]"
std::string p_text(const ComparisonTable& table, const TableRow& row,
                   const std::string& metric = "");  // sign-flip test, corrected by Holm: "0.031", "n < 3"
// Whether a metric has a difference whose interval by test samples is known; and that interval: "[-0.4,
// +0.8]".
bool has_test_set(const ComparisonTable& table, const std::string& metric = "");
std::string test_set_text(const ComparisonTable& table, const TableRow& row, const std::string& metric = "");
// What the columns mean, which way is better and what so few seeds can show, a sentence each.
std::vector<std::string> notes(const ComparisonTable& table);
std::string cell_text(const ComparisonTable& table, const TableRow& row,
                      const std::string& metric);  // "86.1 ± 0.2", "" when there is none
std::string unfinished_text(const std::string& variant,
                            const Unfinished& trial);  // "failed: dcl seed 1: reason"

}  // namespace foil
