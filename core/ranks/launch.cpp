// SPDX-License-Identifier: BSD-3-Clause
// Launch environments: one reader per launcher, all on the same few helpers.
#include "ranks/launch.h"

#include <foil/error.h>
#include <foil/random.h>

#include <charconv>

namespace foil {
namespace {

class Environment {
 public:
  Environment(const std::function<const char*(const char*)>& env, std::string source)
      : env_(env), source_(std::move(source)) {}

  std::string text(const char* name, const std::string& otherwise = "") const {
    const char* value = env_(name);
    return value && *value ? value : otherwise;
  }
  bool has(const char* name) const { return !text(name).empty(); }
  std::string needed(const char* name) const {
    if (!has(name)) fail(Exit::usage, source_, ": the environment variable ", name, " is not set.");
    return text(name);
  }
  int number(const char* name, int low, int high) const {
    const std::string value = needed(name);
    int n = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n);
    if (error != std::errc() || end != value.data() + value.size() || n < low || n > high) {
      fail(Exit::usage, source_, ": ", name, " = ", value, ", allowed: an integer in [", low, ", ", high,
           "].");
    }
    return n;
  }
  int number(const char* name, int low, int high, int otherwise) const {
    return has(name) ? number(name, low, high) : otherwise;
  }
  // `rank` of `size` processes.
  void place(const char* rank, const char* size, int& r, int& n) const {
    n = number(size, 1, 1 << 20);
    r = number(rank, 0, 1 << 20);
    if (r >= n)
      fail(Exit::usage, source_, ": ", rank, " = ", r, " but ", size, " = ", n,
           "; a rank is below the size.");
  }
  const std::string& source() const { return source_; }

 private:
  const std::function<const char*(const char*)>& env_;
  std::string source_;
};

// Every process of a job derives the same port from the job's name.
int port_of_job(const std::string& job) { return 20000 + static_cast<int>(name_key(job) % 20000); }

Launch torchrun(const Environment& env) {
  Launch launch;
  launch.source = env.source();
  env.place("RANK", "WORLD_SIZE", launch.rank, launch.world_size);
  if (env.has("LOCAL_RANK") || env.has("LOCAL_WORLD_SIZE"))
    env.place("LOCAL_RANK", "LOCAL_WORLD_SIZE", launch.local_rank, launch.local_world_size);
  else
    launch.source = "the environment";  // one rank per host
  if (launch.local_world_size > launch.world_size || launch.local_rank > launch.rank) {
    fail(Exit::usage, launch.source, ": LOCAL_RANK = ", launch.local_rank,
         " of LOCAL_WORLD_SIZE = ", launch.local_world_size, " does not fit into RANK = ", launch.rank,
         " of WORLD_SIZE = ", launch.world_size, ".");
  }
  if (launch.world_size == 1) return launch;
  if (launch.source != "--nproc") {  // whose store has no address
    launch.address = env.needed("MASTER_ADDR");
    launch.port = env.number("MASTER_PORT", 1, 65535);
  }
  launch.agent_store = env.text("TORCHELASTIC_USE_AGENT_STORE") == "True" || launch.source == "--nproc";
  launch.run_id = env.text("TORCHELASTIC_RUN_ID");
  launch.restart_count = env.number("TORCHELASTIC_RESTART_COUNT", 0, 1 << 20, 0);
  return launch;
}

Launch slurm(const Environment& env) {
  Launch launch;
  launch.source = env.source();
  env.place("SLURM_PROCID", "SLURM_NTASKS", launch.rank, launch.world_size);
  const int nodes = env.number("SLURM_NNODES", 1, 1 << 20, 1);
  launch.local_world_size = (launch.world_size + nodes - 1) / nodes;
  launch.local_rank = env.number("SLURM_LOCALID", 0, launch.rank);
  const std::string nodes_of_step =
      env.text("SLURM_STEP_NODELIST", env.text("SLURM_NODELIST", env.text("SLURM_JOB_NODELIST")));
  launch.address = env.text("MASTER_ADDR", first_host(nodes_of_step));
  if (launch.address.empty()) env.needed("SLURM_NODELIST");
  launch.run_id = env.text("SLURM_JOB_ID") + "." + env.text("SLURM_STEP_ID");
  if (!env.has("MASTER_PORT")) env.needed("SLURM_JOB_ID");
  launch.port = env.number("MASTER_PORT", 1, 65535, port_of_job(launch.run_id));
  launch.restart_count = env.number("SLURM_RESTART_COUNT", 0, 1 << 20, 0);
  return launch;
}

Launch open_mpi(const Environment& env) {
  Launch launch;
  launch.source = env.source();
  env.place("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", launch.rank, launch.world_size);
  env.place("OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE", launch.local_rank,
            launch.local_world_size);
  launch.run_id = env.text("PMIX_NAMESPACE", env.text("OMPI_MCA_ess_base_jobid"));
  // mpirun tells nobody the host of rank 0; on one host it is this one.
  const bool one_host = launch.local_world_size == launch.world_size;
  launch.address = one_host ? env.text("MASTER_ADDR", "127.0.0.1") : env.needed("MASTER_ADDR");
  if (launch.run_id.empty()) env.needed("MASTER_PORT");
  launch.port = env.number("MASTER_PORT", 1, 65535, port_of_job(launch.run_id));
  return launch;
}

}  // namespace

std::string first_host(const std::string& node_list) {
  const std::string first = node_list.substr(0, node_list.find_first_of(",["));
  if (first.size() == node_list.size() || node_list[first.size()] == ',') return first;
  const size_t open = first.size(), close = node_list.find(']', open);
  if (close == std::string::npos)
    fail(Exit::usage, "Slurm: the node list '", node_list, "' has a [ without a ].");
  const size_t end = node_list.find_first_of(",-]", open + 1);
  return first + node_list.substr(open + 1, end - open - 1) + first_host(node_list.substr(close + 1));
}

Launch read_launch(const std::function<const char*(const char*)>& env) {
  const Environment any(env, "");
  int of_torchrun = 0;  // one alone is a leftover; RANK and WORLD_SIZE are enough, for one rank per host
  for (const char* name : {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"})
    of_torchrun += any.has(name);
  if (of_torchrun > 1) {
    const bool nproc = any.text("FOIL_LAUNCHER") == "--nproc";
    return torchrun(Environment(env, nproc ? "--nproc" : "torchrun"));
  }
  const std::string job = any.text("SLURM_JOB_NAME");
  const bool shell = job == "bash" || job == "interactive";
  if (any.has("SLURM_PROCID") && any.text("SLURM_NTASKS", "1") != "1" && !shell)
    return slurm(Environment(env, "Slurm"));
  if (any.has("OMPI_COMM_WORLD_RANK") || any.has("OMPI_COMM_WORLD_SIZE"))
    return open_mpi(Environment(env, "Open MPI"));
  return {};
}

}  // namespace foil
