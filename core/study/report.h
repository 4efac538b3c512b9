// SPDX-License-Identifier: BSD-3-Clause
// The report of a comparison: one HTML file without anything outside it, its pictures and its tables for a
// paper.
#pragma once

#include "study/comparison.h"

#include <string>

namespace foil {

// The HTML text: what was asked and how to ask it again; per protocol the table, a dot a seed, the
// differences to the reference with their intervals, what each swept key does, accuracy against time; curves
// over steps, collapse, what the variants' configs differ in, hardware and versions. Reads metrics.jsonl and
// env.json from the rows' folders; equal input gives equal bytes.
std::string report_html(const Comparison& comparison, const std::string& title,
                        const std::string& reference = "");

// Writes report.html, comparison.svg (comparison-2.svg, ... for further protocols), table.tex, table.md and
// every picture of the report as figures/NAME.svg into the folder; returns the report's path. Old pictures
// go.
std::string write_report(const Comparison& comparison, const std::string& title, const std::string& folder,
                         const std::string& reference = "");

}  // namespace foil
