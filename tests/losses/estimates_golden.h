// SPDX-License-Identifier: BSD-3-Clause
// What the golden mappings of SogCLR and iSogCLR on one modality and on two have in common.
#pragma once

#include <nlohmann/json.hpp>

#include <map>
#include <string>

namespace foil::golden {

// The published rates weigh what is new, our momenta what was before.
inline double momentum(const nlohmann::json& rate) { return 1 - rate.get<double>(); }

// The options of LibAUC's learnable temperatures.
inline nlohmann::json libauc_temperatures(const nlohmann::json& p) {
  return {{"smallest_temperature", p.at("tau_min")},
          {"largest_temperature", p.at("tau_max")},
          {"robustness", p.at("rho")},
          {"gradient_momentum", momentum(p.at("beta"))},
          {"gradient_clip", 0},
          {"temperature_learning_rate", p.at("eta")}};
}

// What of LibAUC's files is not compared.
inline std::map<std::string, std::string> libauc_left_out() {
  std::map<std::string, std::string> left_out;
  for (int step = 0; step < 10; ++step) {
    left_out["step" + std::to_string(step) + ".out.gamma_used_setting"] =
        "an attribute of the published object, not a result";
  }
  return left_out;
}

}  // namespace foil::golden
