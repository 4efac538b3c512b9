// SPDX-License-Identifier: BSD-3-Clause
// The script of a Slurm array: its text.
#include "program/slurm.h"

#include "program/shell.h"

#include <gtest/gtest.h>

namespace foil {
namespace {

TEST(SlurmScript, RunsTheCommandInEachTaskOfAnArray) {
  EXPECT_EQ(slurm_script({"tau", 12, 4, "/home/u/my work", {"/opt/foil", "ablate", "e.toml", "--join"}}),
            R"(#!/bin/sh
#SBATCH --job-name=foil-tau
#SBATCH --array=1-12
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
# What else the cluster asks for: --time, --partition, --account, --gpus-per-task. Each task takes the next
# trial that nobody runs until none is left, so fewer tasks do the same; a task that dies is made up for.
cd '/home/u/my work' || exit 1
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" /opt/foil ablate e.toml --join
code=$?
if [ "$code" -eq 75 ]; then  # stopped after its checkpoints: the task goes on later
  scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
fi
exit "$code"
)");
}

TEST(SlurmScript, QuotesWhatAShellWouldChange) {
  EXPECT_EQ(quoted("loss.temperature=0.1"), "loss.temperature=0.1");
  EXPECT_EQ(quoted(""), "''");
  EXPECT_EQ(quoted("it's $HOME"), "'it'\\''s $HOME'");
}

}  // namespace
}  // namespace foil
