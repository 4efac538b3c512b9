// SPDX-License-Identifier: BSD-3-Clause
// [report] of an experiment file: what a study's tables and report call its variants and metrics.
#pragma once

#include "config/sweep.h"

#include <string>
#include <vector>

namespace foil {

// The text of report.json, which study/labels.h reads: the labels of [report.variants] and [report.metrics],
// and the command that makes the study. A label is of a whole variant, of words of one, or of a baseline.
// Throws Error (Exit::usage) at the place in the file for another key, what is no text, a label of no variant
// of `trials`, and two variants with one label.
std::string report_record(const std::string& file, const std::vector<std::string>& sets,
                          const std::vector<Trial>& trials);

}  // namespace foil
