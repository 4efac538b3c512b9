// SPDX-License-Identifier: BSD-3-Clause
#include "ranks/launch.h"

#include "tests/support/error_of.h"

#include <gtest/gtest.h>

#include <map>

namespace {

using Variables = std::map<std::string, std::string>;

foil::Launch read(const Variables& variables) {
  return foil::read_launch([&](const char* name) {
    const auto it = variables.find(name);
    return it == variables.end() ? nullptr : it->second.c_str();
  });
}

std::string text(const foil::Launch& l) {
  return l.source + " " + std::to_string(l.rank) + "/" + std::to_string(l.world_size) + " " +
         std::to_string(l.local_rank) + "/" + std::to_string(l.local_world_size) + " " + l.address +
         (l.agent_store ? " agent" : "") + " " + l.run_id + " " + std::to_string(l.restart_count);
}

std::string message(const Variables& variables) {
  return foil::test::refusal([&] { read(variables); });
}

const Variables kTorchrun = {{"RANK", "5"},
                             {"WORLD_SIZE", "8"},
                             {"LOCAL_RANK", "1"},
                             {"LOCAL_WORLD_SIZE", "4"},
                             {"MASTER_ADDR", "node7"},
                             {"MASTER_PORT", "29500"}};
const Variables kSlurm = {{"SLURM_PROCID", "3"},
                          {"SLURM_NTASKS", "5"},
                          {"SLURM_LOCALID", "0"},
                          {"SLURM_NNODES", "2"},
                          {"SLURM_NODELIST", "node[03-07,9]"},
                          {"SLURM_JOB_ID", "4711"}};
const Variables kOpenMpi = {{"OMPI_COMM_WORLD_RANK", "2"},
                            {"OMPI_COMM_WORLD_SIZE", "3"},
                            {"OMPI_COMM_WORLD_LOCAL_RANK", "2"},
                            {"OMPI_COMM_WORLD_LOCAL_SIZE", "3"},
                            {"PMIX_NAMESPACE", "prterun-host-77@1"}};

Variables with(Variables base, const Variables& changes) {
  for (const auto& [name, value] : changes) base[name] = value;
  return base;
}

Variables without(Variables base, const std::string& name) {
  base.erase(name);
  return base;
}

}  // namespace

TEST(Launch, IsSingleWithoutALauncher) {
  EXPECT_EQ(text(read({})), "single 0/1 0/1   0");
  EXPECT_EQ(text(read({{"SLURM_JOB_ID", "4"}, {"SLURM_NTASKS", "4"}})), "single 0/1 0/1   0")
      << "salloc without srun";
  EXPECT_EQ(text(read(with(kSlurm, {{"SLURM_NTASKS", "1"}, {"SLURM_PROCID", "0"}}))), "single 0/1 0/1   0");
  EXPECT_EQ(text(read(with(kSlurm, {{"SLURM_JOB_NAME", "bash"}}))), "single 0/1 0/1   0")
      << "srun --pty bash";
  EXPECT_EQ(text(read(with(kSlurm, {{"SLURM_JOB_NAME", "interactive"}}))), "single 0/1 0/1   0")
      << "salloc shell";
}

TEST(Launch, ReadsTorchrun) {
  EXPECT_EQ(text(read(kTorchrun)), "torchrun 5/8 1/4 node7  0");
  EXPECT_EQ(read(kTorchrun).port, 29500);
  EXPECT_EQ(text(read(with(kTorchrun, {{"TORCHELASTIC_USE_AGENT_STORE", "True"},
                                       {"TORCHELASTIC_RUN_ID", "r1"},
                                       {"TORCHELASTIC_RESTART_COUNT", "2"}}))),
            "torchrun 5/8 1/4 node7 agent r1 2");
  EXPECT_EQ(text(read(with(kTorchrun, {{"TORCHELASTIC_USE_AGENT_STORE", "False"}}))),
            "torchrun 5/8 1/4 node7  0");
}

TEST(Launch, ReadsNprocWhoseStoreHasNoAddress) {
  Variables nproc = with(kTorchrun, {{"FOIL_LAUNCHER", "--nproc"}});
  nproc.erase("MASTER_ADDR");
  nproc.erase("MASTER_PORT");
  EXPECT_EQ(text(read(nproc)), "--nproc 5/8 1/4  agent  0");
}

TEST(Launch, WithoutLocalVariablesThereIsOneRankAHost) {
  const Variables four = without(without(kTorchrun, "LOCAL_RANK"), "LOCAL_WORLD_SIZE");
  EXPECT_EQ(text(read(four)), "the environment 5/8 0/1 node7  0");
  EXPECT_EQ(read(four).port, 29500);
  EXPECT_EQ(message(without(four, "MASTER_PORT")),
            "torchrun: the environment variable MASTER_PORT is not set.");
}

TEST(Launch, OneVariableAloneIsNoLauncher) {
  for (const auto& [name, value] : kTorchrun)
    EXPECT_EQ(text(read({{name, value}})), "single 0/1 0/1   0") << name;
  EXPECT_EQ(text(read({{"MASTER_ADDR", "a"}, {"MASTER_PORT", "1"}})), "single 0/1 0/1   0");
  EXPECT_EQ(text(read(with(kSlurm, {{"WORLD_SIZE", "1"}}))), "Slurm 3/5 0/3 node03 4711. 0");
  EXPECT_EQ(text(read({{"RANK", "0"}, {"WORLD_SIZE", "1"}})), "the environment 0/1 0/1   0")
      << "alone, and no address is needed";
}

TEST(Launch, PrefersTorchrunToSlurmToOpenMpi) {
  Variables all = with(with(kOpenMpi, kSlurm), kTorchrun);
  EXPECT_EQ(read(all).source, "torchrun");
  EXPECT_EQ(read(with(kOpenMpi, kSlurm)).source, "Slurm");
}

TEST(Launch, ReadsSlurm) {
  EXPECT_EQ(text(read(kSlurm)), "Slurm 3/5 0/3 node03 4711. 0");
  EXPECT_EQ(read(kSlurm).port, read(with(kSlurm, {{"SLURM_PROCID", "0"}})).port)
      << "every rank derives the same port";
  EXPECT_NE(read(kSlurm).port, read(with(kSlurm, {{"SLURM_JOB_ID", "4712"}})).port);
  EXPECT_NE(read(kSlurm).port, read(with(kSlurm, {{"SLURM_STEP_ID", "1"}})).port)
      << "two steps of a job may run at once";
  EXPECT_GE(read(kSlurm).port, 20000);
  const foil::Launch given = read(with(kSlurm, {{"MASTER_ADDR", "head"}, {"MASTER_PORT", "1234"}}));
  EXPECT_EQ(given.address + std::to_string(given.port), "head1234");
}

TEST(Launch, ReadsOpenMpi) {
  EXPECT_EQ(text(read(kOpenMpi)), "Open MPI 2/3 2/3 127.0.0.1 prterun-host-77@1 0");
  EXPECT_GE(read(kOpenMpi).port, 20000);
  const Variables two_hosts =
      with(kOpenMpi, {{"OMPI_COMM_WORLD_LOCAL_SIZE", "1"}, {"OMPI_COMM_WORLD_LOCAL_RANK", "0"}});
  EXPECT_EQ(message(two_hosts), "Open MPI: the environment variable MASTER_ADDR is not set.");
  EXPECT_EQ(read(with(two_hosts, {{"MASTER_ADDR", "a"}})).address, "a");
  EXPECT_EQ(message(without(kOpenMpi, "PMIX_NAMESPACE")),
            "Open MPI: the environment variable MASTER_PORT is not set.");
}

TEST(Launch, NamesWhatIsMissing) {
  for (const auto& [name, value] : kTorchrun) {
    EXPECT_EQ(message(without(kTorchrun, name)),
              "torchrun: the environment variable " + name + " is not set.");
  }
  for (const char* name : {"SLURM_LOCALID", "SLURM_NODELIST", "SLURM_JOB_ID"}) {
    EXPECT_EQ(message(without(kSlurm, name)),
              std::string("Slurm: the environment variable ") + name + " is not set.");
  }
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
                           "OMPI_COMM_WORLD_LOCAL_SIZE"}) {
    EXPECT_EQ(message(without(kOpenMpi, name)),
              std::string("Open MPI: the environment variable ") + name + " is not set.");
  }
}

TEST(Launch, NamesWhatIsMalformed) {
  EXPECT_EQ(message(with(kTorchrun, {{"RANK", "five"}})),
            "torchrun: RANK = five, allowed: an integer in [0, 1048576].");
  EXPECT_EQ(message(with(kTorchrun, {{"RANK", "5x"}})),
            "torchrun: RANK = 5x, allowed: an integer in [0, 1048576].");
  EXPECT_EQ(message(with(kTorchrun, {{"RANK", "-1"}})),
            "torchrun: RANK = -1, allowed: an integer in [0, 1048576].");
  EXPECT_EQ(message(with(kTorchrun, {{"WORLD_SIZE", "0"}})),
            "torchrun: WORLD_SIZE = 0, allowed: an integer in [1, 1048576].");
  EXPECT_EQ(message(with(kTorchrun, {{"MASTER_PORT", "65536"}})),
            "torchrun: MASTER_PORT = 65536, allowed: an integer in [1, 65535].");
  EXPECT_EQ(message(with(kTorchrun, {{"WORLD_SIZE", "99999999999"}})),
            "torchrun: WORLD_SIZE = 99999999999, allowed: an integer in [1, 1048576].");
}

TEST(Launch, NamesWhatContradicts) {
  EXPECT_EQ(message(with(kTorchrun, {{"RANK", "8"}})),
            "torchrun: RANK = 8 but WORLD_SIZE = 8; a rank is below the size.");
  EXPECT_EQ(message(with(kTorchrun, {{"LOCAL_RANK", "4"}})),
            "torchrun: LOCAL_RANK = 4 but LOCAL_WORLD_SIZE = 4; a rank is below the size.");
  EXPECT_EQ(message(with(kTorchrun, {{"LOCAL_WORLD_SIZE", "9"}})),
            "torchrun: LOCAL_RANK = 1 of LOCAL_WORLD_SIZE = 9 does not fit into RANK = 5 of WORLD_SIZE = 8.");
  EXPECT_EQ(message(with(kSlurm, {{"SLURM_PROCID", "5"}})),
            "Slurm: SLURM_PROCID = 5 but SLURM_NTASKS = 5; a rank is below the size.");
}

TEST(Launch, FindsTheFirstHostOfASlurmNodeList) {
  const std::pair<const char*, const char*> table[] = {
      {"gpu1", "gpu1"},
      {"gpu1,gpu2", "gpu1"},
      {"node[03-07,9]", "node03"},
      {"node[9,03-07]", "node9"},
      {"n[1]", "n1"},
      {"a[001-100]b", "a001b"},
      {"r[2-3]n[10,11],x", "r2n10"},
      {"r[2,3]-gpu[07-08].cluster,y[1-2]", "r2-gpu07.cluster"},
      {"", ""}};
  for (const auto& [list, host] : table) EXPECT_EQ(foil::first_host(list), host) << list;
  EXPECT_EQ(message(with(kSlurm, {{"SLURM_NODELIST", "node[03-07"}})),
            "Slurm: the node list 'node[03-07' has a [ without a ].");
}
