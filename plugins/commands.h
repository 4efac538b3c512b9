// SPDX-License-Identifier: BSD-3-Clause
// The verbs of the program about plugins and the installation. Each returns the exit code; results go to
// stdout, the rest to stderr.
#pragma once

#include "registry.h"

#include <string>
#include <vector>

namespace foil {

// Where plugins are looked for, and whether files that others may write are loaded.
struct PluginSearch {
  std::vector<std::string> folders;
  bool trust = false;
};

// Lists what the libraries register, from where, and what was refused and why. Each library is tried in a
// process of its own.
int plugins_command(const PluginSearch& search);

// Versions, devices, places and problems; Exit::failure when there is a problem.
int doctor_command(const PluginSearch& search);

// What a component says of itself (formula, paper), what it needs, its options, and a TOML snippet that runs.
// Where the name is unknown, the folders that were `looked` in and why libraries were `refused`.
int describe_command(const Registry& registry, const std::string& name,
                     const std::vector<std::string>& looked, const std::vector<std::string>& refused);

struct NewOptions {
  std::string kind;    // "loss", "encoder", "augmentation", "dataset", "sampler"
  std::string name;    // snake_case: of the files, the CMake target and the component
  std::string folder;  // must not exist
  std::string with;    // "", "state", "queue", "contrast", "kernel"; losses only
};
// Writes an out-of-tree plugin from the templates of this installation; all of it or nothing.
int new_command(const Registry& registry, const NewOptions& options);

struct ScoreOptions {
  std::string loss;  // its name
  std::string file;  // safetensors: z.0, z.1, ... [B, D]; h, p, target, queues, views, weights, label and
                     // index where the loss needs them
  std::vector<std::string> sets;  // KEY=VALUE, options of the loss
  std::string out;                // of the gradients; empty: FILE.gradients.safetensors beside the file
  std::string device;             // "cpu", "cuda"; empty: CUDA where there is one
  int64_t dataset_size = 0;       // rows of the data set; 0: as many as the largest index asks for
};
// The value of a loss on saved embeddings, and its gradients.
int score_command(const Registry& registry, const ScoreOptions& options);

}  // namespace foil
