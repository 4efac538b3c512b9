// SPDX-License-Identifier: BSD-3-Clause
// [sweep]: one experiment -> the list of trials that it asks for. Running them is core/study.
#pragma once

#include "config/node.h"

namespace foil {

struct Trial {
  std::string name;     // unique and fit for a folder: "dcl-seed1"; "seed1" when nothing but the seed varies
  std::string variant;  // the swept values: "dcl", or "temperature=0.1 dcl"; else run.name or "default"
  int64_t seed = 0;     // run.seed
  std::vector<std::string> sets;  // the swept values as "KEY=VALUE", for the eye
  Origin pruned;                  // of prune = "median"; an empty file where nothing is pruned
  Node root;  // the experiment of this trial, without [sweep] and [report]; swept values keep their place
};

// [sweep] holds
//   seeds: a count (run.seed, run.seed + 1, ...) or a list;
//   grid:  keys with lists of values, every combination, the first key slowest;
//   zip:   keys with lists of equal length, walked together, inside the grid;
//   ablate: keys with lists of values, one key at a time around the experiment as it stands, itself first;
//   random: n draws, the same for the same random.seed, of keys with a list or { low, high, log };
//   prune: "median", the median stopping rule (study/pruning.h);
//   exclude: combinations that are left out, a table of swept keys and their values each.
// A key that the command line sets (`set_keys`) keeps that one value. `label`, when given, leads the variants
// and is one by itself where nothing is swept. Throws foil::Error (usage) at the place in the file.
std::vector<Trial> expand(const Node& root, const std::vector<std::string>& set_keys = {},
                          const std::string& label = "");

// The trials of a file: those of its [sweep], or the one that it is; `sets` win over the sweep. With
//   files: experiment files, relative to the one that lists them,
// the trials of each in turn, under the file's name without ".toml"; what the listing file says wins over
// what they say. Throws foil::Error (usage).
std::vector<Trial> load_trials(const std::string& file, const std::vector<std::string>& sets);

}  // namespace foil
