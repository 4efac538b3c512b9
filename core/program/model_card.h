// SPDX-License-Identifier: BSD-3-Clause
// The model card beside exported weights: what they are, how they were made, what they measured, how to load
// them.
#pragma once

#include "config/node.h"
#include "program/layouts.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>

namespace foil {

// What a card is made of; null where the run did not leave it.
struct CardFacts {
  std::string name;  // of the run
  Node experiment;   // resolved
  Node encoder;      // its table of the experiment
  int64_t step = 0;  // of the checkpoint
  Layout layout;
  nlohmann::json inputs;       // of the checkpoint: by modality {"shape", "kind", "preparation"}
  nlohmann::json results;      // results.json
  nlohmann::json data;         // data.json
  nlohmann::json environment;  // env.json
};

// Markdown with the head that model hubs read. The licence is left to who publishes it. Numbers that were
// measured at another step than the checkpoint's are left out, and a sentence says so. Throws Error
// (Exit::data) for results that are none.
std::string model_card(const CardFacts& facts);

}  // namespace foil
