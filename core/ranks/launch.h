// SPDX-License-Identifier: BSD-3-Clause
// Launch: which of how many processes this one is, as the launcher wrote it into the environment. No
// connection is made here.
#pragma once

#include <cstdlib>
#include <functional>
#include <string>

namespace foil {

struct Launch {
  int rank = 0;
  int world_size = 1;
  int local_rank = 0;        // among the processes of this host: chooses the device
  int local_world_size = 1;  // processes of this host
  std::string address;       // where the store is: a host name, and
  int port = 0;
  std::string source = "single";  // "torchrun", "Slurm", "Open MPI", "--nproc", "single"
  bool agent_store = false;       // the launcher keeps the store and rank 0 is a client like the others
  std::string run_id;             // the restarts of one launch share a store but not its keys
  int restart_count = 0;
};

// Reads the variables of torchrun (and of `--nproc`, which writes the same), then Slurm, then Open MPI;
// without any of them, or in an interactive Slurm shell, this process is alone. MASTER_ADDR and MASTER_PORT
// win over what Slurm and Open MPI imply. Throws Error (Exit::usage) naming the variable that is missing, is
// no number or contradicts another.
Launch read_launch(const std::function<const char*(const char*)>& env = [](const char* name) {
  return std::getenv(name);
});

// The first host of a Slurm node list: "node[03-07,9],gpu1" -> "node03".
std::string first_host(const std::string& node_list);

}  // namespace foil
