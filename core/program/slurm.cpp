// SPDX-License-Identifier: BSD-3-Clause
#include "program/slurm.h"

#include "program/shell.h"

#include <fmt/format.h>

namespace foil {

std::string slurm_script(const SlurmArray& array) {
  std::string command;
  for (const std::string& argument : array.command) command += " " + quoted(argument);
  return fmt::format(R"(#!/bin/sh
#SBATCH --job-name={}
#SBATCH --array=1-{}
#SBATCH --ntasks=1
#SBATCH --cpus-per-task={}
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
# What else the cluster asks for: --time, --partition, --account, --gpus-per-task. Each task takes the next
# trial that nobody runs until none is left, so fewer tasks do the same; a task that dies is made up for.
cd {} || exit 1
srun --cpus-per-task="$SLURM_CPUS_PER_TASK"{}
code=$?
if [ "$code" -eq 75 ]; then  # stopped after its checkpoints: the task goes on later
  scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID"
fi
exit "$code"
)",
                     quoted("foil-" + array.name), array.tasks, array.cores, quoted(array.folder), command);
}

}  // namespace foil
