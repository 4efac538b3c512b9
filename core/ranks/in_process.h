// SPDX-License-Identifier: BSD-3-Clause
// In-process ranks: the ranks of a test as threads, one Gloo process group each over a store in memory.
#pragma once

#include "ranks/world.h"

#include <chrono>
#include <functional>

namespace foil {

// Runs `body` as each of `world_size` ranks. When a rank throws, the others are freed and what all ranks
// report is thrown here.
void in_process_ranks(int world_size, const std::function<void(World&)>& body,
                      std::chrono::seconds timeout = std::chrono::seconds(60));

}  // namespace foil
