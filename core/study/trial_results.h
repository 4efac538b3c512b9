// SPDX-License-Identifier: BSD-3-Clause
// What a finished run left in its folder, as far as comparing runs needs it: results.json, metrics.jsonl.
// Reads only; who runs writes them.
#pragma once

#include "evaluate/measure.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace foil {

using Curve = std::vector<std::pair<double, double>>;  // (step, value), or another (x, y)
using Counts = std::vector<std::vector<int64_t>>;

// results.json: {"protocol": "...", "data": "crc32:...", "metrics": {"knn": 86.1, "linear": 90.2,
// "features.alignment": 0.7}, "measured": {"features.knn": {"metric": "knn", "title": "kNN", ...}, ...},
// "step": 938, "loss": 4.2}.
struct TrialResults {
  std::string protocol;
  std::string data;                         // Dataset::identity of what it was measured on; empty = not known
  std::map<std::string, double> metrics;    // finite ones; a metric that is null or not finite is left out
  std::map<std::string, Measure> measures;  // what the record says of its metrics; nothing in an old one
  int64_t step = 0;
  // Of the metrics that have them: the ROC curve as (false positives, true positives), and how many samples
  // of each class, a row, were found to be of each class.
  std::map<std::string, Curve> roc;
  std::map<std::string, Counts> confusion;
};

// `place` is named in the Error (Exit::data) when the text is not such an object.
TrialResults parse_results(const std::string& text, const std::string& place);

// What is known of a metric: from the record, or from what old ones leave unsaid.
Measure measure_in(const TrialResults& results, const std::string& metric);

// The text of results.json in the folder of a run that ended well. Throws Error for a file that is not there
// (Exit::failure) and for what parse_results refuses.
std::string read_results(const std::string& folder);

// The whole file, nothing when there is none; Error (Exit::data) when something else is in its place.
std::optional<std::string> read_text(const std::string& path);

// A curve for each key of metrics.jsonl, rows without a finite number left out, thinned to at most `limit`
// points: means over equally many neighbours. None when there is no file.
std::map<std::string, Curve> read_curves(const std::string& folder, size_t limit = 400);

}  // namespace foil
