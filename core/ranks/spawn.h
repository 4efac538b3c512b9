// SPDX-License-Identifier: BSD-3-Clause
// Spawn: `--nproc N`: one process starts N ranks of itself on this host and looks after them; and the error
// file of torchrun.
#pragma once

#include <foil/error.h>

#include <chrono>
#include <string>
#include <vector>

namespace foil {

// Runs this program `nproc` times as ranks 0 ... nproc-1, each with `argv` (argv[0] and a `--nproc N` in it
// are left out) and the variables that read_launch() knows. Forwards SIGINT, SIGTERM and SIGUSR1; when a rank
// fails, the others get `grace` to end by themselves, then SIGTERM, after as long again SIGKILL; no rank
// outlives this process. A rank that has not ended `patience` after the end of the run, which is when all
// have come there or one has ended well, has failed, too; it is named before. Returns 0, or the exit code of
// the rank that failed first (128 + signal when it was killed). Call it before any other thread exists.
int spawn_ranks(int nproc, const std::vector<std::string>& argv,
                std::chrono::milliseconds grace = std::chrono::seconds(8),
                std::chrono::milliseconds patience = std::chrono::seconds(600));

// Writes the reason of a failure where torchrun looks for it: the file named by TORCHELASTIC_ERROR_FILE;
// without it, nothing.
void write_error_file(const std::string& message, int code);

}  // namespace foil
