// SPDX-License-Identifier: BSD-3-Clause
// Agreement: what one rank does or fails at, all ranks know.
#pragma once

#include "ranks/world.h"

#include <functional>

namespace foil {

// Runs `work` on rank 0; when it throws there, every rank throws the same Error.
void on_rank_0(World& world, const std::function<void()>& work);

}  // namespace foil
