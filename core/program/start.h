// SPDX-License-Identifier: BSD-3-Clause
// What the verbs on experiments do before their work: the trial, the device, the threads.
#pragma once

#include "experiment/experiment.h"
#include "ranks/launch.h"
#include "run/checkpoint.h"

#include <string>
#include <vector>

namespace foil {

// The trial of a file by its name; empty = the first. Throws Error (Exit::usage) naming the nearest.
Trial pick_trial(const std::string& file, const std::vector<std::string>& sets, const std::string& name);

// A checkpoint by its path; empty = the newest of the run, which says on stderr what is damaged. Throws Error
// (Exit::data) where there is none.
Checkpoint find_checkpoint(const std::string& run, const std::string& path);

// "cpu" or "cuda"; empty = CUDA where there is one, the ranks of a machine on its devices in turn.
at::Device choose_device(const std::string& asked, int local_rank);

// Threads of this process, and whether only deterministic kernels may run.
void set_threads(const Plan& plan, const Launch& launch);

// The resolved experiment as config.resolved.toml holds it. Throws Error (Exit::usage) naming key and place
// for a text that is not UTF-8, such as a path through a folder of another encoding: no record could hold it.
std::string record_of(const Plan& plan);

}  // namespace foil
