// SPDX-License-Identifier: BSD-3-Clause
// Environment: which foil this is and what it runs on: env.json, `foil --version`, and how the process holds
// memory.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace foil {

// "foil 0.1.0 (commit 1a2b3c4), LibTorch 2.11.0, CUDA 13.0".
std::string version_text();

// Versions, commit, host, processor, cores, memory, GPUs and the settings that decide about bits. `plugins`:
// files whose hash is kept.
nlohmann::json environment(const std::vector<std::string>& plugins);

// Lets this process keep the memory that it frees. Each step allocates and frees the same large tensors; the
// C library maps a large one anew each time and gives it back, and the system clears its pages again, which
// is a quarter of a step on a CPU.
void keep_freed_memory();

}  // namespace foil
