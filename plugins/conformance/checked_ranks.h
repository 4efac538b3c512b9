// SPDX-License-Identifier: BSD-3-Clause
// Checked ranks: in-process ranks that compare each collective before they enter it. One that not all ranks
// call alike is found at once, with its name and the ranks, where the process group itself would wait for its
// timeout.
#pragma once

#include <foil/ranks.h>

#include <functional>
#include <memory>
#include <string>

namespace foil::conformance {

// What a rank does. It calls `step_ends` behind each step, so that a collective that it left out is told from
// the next step's.
using RankBody =
    std::function<void(const std::shared_ptr<Ranks>& ranks, const std::function<void()>& step_ends)>;

// Runs `body` as each of `world_size` ranks, threads of this process over a real process group. Returns what
// went wrong, "" for nothing: the mismatch of collectives, else "rank 1: " and what the lowest rank threw.
std::string checked_ranks(int world_size, const RankBody& body);

}  // namespace foil::conformance
