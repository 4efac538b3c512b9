// SPDX-License-Identifier: BSD-3-Clause
// Environment: which foil this is and what it runs on; env.json and `foil --version`.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace foil {

// "foil 0.1.0 (commit 1a2b3c4), LibTorch 2.11.0, CUDA 13.0".
std::string version_text();

// Versions, commit, host, processor, cores, memory, GPUs and the settings that decide about bits. `plugins`: files whose hash is
// kept.
nlohmann::json environment(const std::vector<std::string>& plugins);

}  // namespace foil
