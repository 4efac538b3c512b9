// SPDX-License-Identifier: BSD-3-Clause
// The script of a Slurm array whose tasks run a study together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace foil {

struct SlurmArray {
  std::string name;                    // of the study
  size_t tasks = 1;                    // at most useful: more find no trial
  int64_t cores = 1;                   // of a task
  std::string folder;                  // to work in
  std::vector<std::string> command{};  // of a task, the program first
};

// A script for sbatch. A task that is asked to stop, two minutes before its time is over, is put into the
// queue again and goes on.
std::string slurm_script(const SlurmArray& array);

}  // namespace foil
