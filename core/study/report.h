// SPDX-License-Identifier: BSD-3-Clause
// The report of a comparison: one HTML file without anything outside it, and the table as a picture.
#pragma once

#include "study/comparison.h"

#include <string>

namespace foil {

// The HTML text: per protocol the table with its strip of points, curves of the loss and of headline metrics
// over steps, what the variants' configs differ in, hardware and versions (env.json). Reads metrics.jsonl and
// env.json from the rows' folders; equal input gives equal bytes.
std::string report_html(const Comparison& comparison, const std::string& title,
                        const std::string& reference = "");

// Writes report.html and comparison.svg (comparison-2.svg, ... for further protocols) into the folder;
// returns the report's path.
std::string write_report(const Comparison& comparison, const std::string& title, const std::string& folder,
                         const std::string& reference = "");

}  // namespace foil
