// SPDX-License-Identifier: BSD-3-Clause
#include "evaluate/results.h"

#include "evaluate/measure.h"
#include "run/text.h"

#include <cstdio>
#include <map>
#include <set>

namespace foil {

nlohmann::json results_of(const MeasuredData& data, const nlohmann::json& measured, int64_t step,
                          std::optional<double> loss) {
  nlohmann::json metrics = nlohmann::json::object();
  std::map<int64_t, std::string> headline;  // protocols, by column
  for (const auto& [key, entry] : measured.items()) {
    metrics[metric_of(key, entry)] = entry["value"];
    const std::optional<Measure> measure = measure_of(entry);
    if (measure && measure->headline && !entry.contains("part_of"))
      headline[measure->column] = entry["protocol"];
  }
  std::string protocol = data.name;
  std::set<std::string> named;  // several measures of one search share theirs
  for (const auto& [column, how] : headline) {
    if (named.insert(how).second) protocol += " " + how;
  }
  nlohmann::json results = {
      {"protocol", protocol}, {"metrics", metrics}, {"measured", measured}, {"step", step}};
  if (!data.identity.empty()) results["data"] = data.identity;
  if (loss) results["loss"] = *loss;
  return results;
}

void print_results(const nlohmann::json& results) {
  std::map<std::string, std::string> lines;
  for (const auto& [key, entry] : results["measured"].items()) {
    const std::string metric = metric_of(key, entry);
    lines[metric] = value_text(measure_of(entry).value_or(measure_of_old(metric)), entry["value"]);
  }
  for (const auto& [metric, text] : lines) std::printf("%-28s %s\n", printable(metric).c_str(), text.c_str());
  std::fflush(stdout);
}

}  // namespace foil
