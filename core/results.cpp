// SPDX-License-Identifier: BSD-3-Clause
#include "results.h"

namespace foil {

nlohmann::json results_of(const Plan& plan, const nlohmann::json& measured, int64_t step, std::optional<double> loss) {
  nlohmann::json metrics = nlohmann::json::object();
  std::string protocol = plan.data.component->name;
  for (const auto& [key, entry] : measured.items()) {
    if (!entry.contains("value")) continue;
    const bool headline = key == "features.knn" || key == "features.linear";
    metrics[headline ? key.substr(key.find('.') + 1) : key] = entry["value"];
    if (headline) protocol += " " + entry["protocol"].get<std::string>();
  }
  nlohmann::json results = {{"protocol", protocol}, {"metrics", metrics}, {"measured", measured}, {"step", step}};
  if (loss) results["loss"] = *loss;
  return results;
}

}  // namespace foil
