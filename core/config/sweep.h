// SPDX-License-Identifier: BSD-3-Clause
// [sweep]: one experiment -> the list of trials that it asks for. Running them is core/study.
#pragma once

#include "config/node.h"

namespace foil {

struct Trial {
  std::string name;               // unique and fit for a folder: "dcl-seed1"; "seed1" when nothing but the seed varies
  std::string variant;            // the swept values: "dcl", or "temperature=0.1 dcl"; else run.name or "default"
  int64_t seed = 0;               // run.seed
  std::vector<std::string> sets;  // the swept values as "KEY=VALUE", for the eye
  Node root;                      // the experiment of this trial, without [sweep]; swept values keep their place in [sweep]
};

// [sweep] holds
//   seeds: a count (run.seed, run.seed + 1, ...) or a list;
//   grid:  keys with lists of values, every combination, the first key slowest;
//   zip:   keys with lists of equal length, walked together, inside the grid.
// A key that the command line sets (`set_keys`) keeps that one value. Throws foil::Error (usage) at the place in the file.
std::vector<Trial> expand(const Node& root, const std::vector<std::string>& set_keys = {});

}  // namespace foil
