// SPDX-License-Identifier: BSD-3-Clause
#include "evaluate/results.h"

#include "run/text.h"

#include <fmt/format.h>

#include <cstdio>

namespace foil {

nlohmann::json results_of(const MeasuredData& data, const nlohmann::json& measured, int64_t step,
                          std::optional<double> loss) {
  nlohmann::json metrics = nlohmann::json::object();
  std::string protocol = data.name;
  for (const auto& [key, entry] : measured.items()) {
    if (!entry.contains("value")) continue;
    // "features.knn", "features.linear" and their parts by class frequency; the whole's protocol says all but
    // the part.
    const bool whole = key == "features.knn" || key == "features.linear";
    const bool headline = whole || key.starts_with("features.knn_") || key.starts_with("features.linear_");
    metrics[headline ? key.substr(key.find('.') + 1) : key] = entry["value"];
    if (whole) protocol += " " + entry["protocol"].get<std::string>();
  }
  nlohmann::json results = {
      {"protocol", protocol}, {"metrics", metrics}, {"measured", measured}, {"step", step}};
  if (!data.identity.empty()) results["data"] = data.identity;
  if (loss) results["loss"] = *loss;
  return results;
}

void print_results(const nlohmann::json& results) {
  for (const auto& [name, value] : results["metrics"].items()) {
    const std::string text = value.is_number() ? fmt::format("{:.4g}", value.get<double>()) : value.dump();
    std::printf("%-28s %s\n", printable(name).c_str(), text.c_str());
  }
  std::fflush(stdout);
}

}  // namespace foil
