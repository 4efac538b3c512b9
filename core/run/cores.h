// SPDX-License-Identifier: BSD-3-Clause
// The cores that threads may use, and how threads wait for each other.
#pragma once

#include <string>

namespace foil {

// The cores that this process may use: those of its affinity mask, and no more than the quota of its control
// groups (what `taskset`, Slurm and containers set), rounded up, nor than FOIL_CORES, the share that a
// process around it gave it; at least 1. More threads than that wait for each other instead of working.
// `root` is where /proc and /sys/fs/cgroup are looked for. Throws Error (Exit::usage) where FOIL_CORES is no
// integer above 0.
int usable_cores(const std::string& root = "/");

// How long a thread that waits for the others spins before it sleeps, as the environment of this process
// says: for `foil doctor` and env.json.
std::string barrier_policy();

}  // namespace foil
