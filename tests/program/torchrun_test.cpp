// SPDX-License-Identifier: BSD-3-Clause
// torchrun as the launcher: it starts the ranks, keeps their store or leaves it to rank 0, and starts them
// again when one is killed.
#include "tests/support/watched_run.h"

#include <netinet/in.h>
#include <sys/socket.h>

namespace foil {
namespace {

int free_port() {
  const int s = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ::bind(s, reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(s, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(s);
  return ntohs(address.sin_port);
}

// Who keeps the store of the ranks.
enum class Rendezvous { rank_0, agent };

pid_t start_torchrun(const Workplace& place, Rendezvous rendezvous, const std::vector<std::string>& train,
                     const std::vector<std::string>& options = {}) {
  const char* python = std::getenv("FOIL_PYTHON");
  if (!python) throw std::runtime_error("FOIL_PYTHON is not set: run this by ctest");
  const std::string port = std::to_string(free_port());
  std::vector<std::string> command = {
      python, "-m", "torch.distributed.run", "--no-python", "--nproc-per-node", "2"};
  if (rendezvous == Rendezvous::rank_0) {
    command.insert(command.end(), {"--master-addr", "127.0.0.1", "--master-port", port});
  } else {
    command.insert(command.end(), {"--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:" + port,
                                   "--rdzv-id", "run", "--nnodes", "1"});
  }
  command.insert(command.end(), options.begin(), options.end());
  command.push_back(FOIL_PROGRAM);
  command.insert(command.end(), train.begin(), train.end());
  return place.start(command, {"FOIL_PLUGIN_PATH=" FOIL_TEST_PLUGINS});
}

std::string of_proc(pid_t pid, const char* file) {
  return slurp("/proc/" + std::to_string(pid) + "/" + file);
}

// The processes that `parent` started and that run foil, by RANK.
std::map<std::string, pid_t> workers_of(pid_t parent) {
  std::map<std::string, pid_t> workers;
  std::istringstream children(of_proc(parent, ("task/" + std::to_string(parent) + "/children").c_str()));
  for (pid_t child; children >> child;) {
    if (!of_proc(child, "cmdline").starts_with(FOIL_PROGRAM)) continue;
    std::istringstream variables(of_proc(child, "environ"));
    for (std::string variable; std::getline(variables, variable, '\0');) {
      if (variable.starts_with("RANK=")) workers[variable.substr(5)] = child;
    }
  }
  return workers;
}

const std::vector<std::string> kTrain = {"train", "small.toml", "--set", "run.precision=fp64"};

TEST(Torchrun, GivesTheBitsOfNprocWithEitherStore) {
  Workplace own;
  own.write("small.toml", small_experiment());
  std::vector<std::string> command = kTrain;
  command.insert(command.end(), {"--nproc", "2"});
  const Outcome expected = foil_within(own, command);
  ASSERT_EQ(expected.code, 0) << expected.err;
  for (const Rendezvous rendezvous : {Rendezvous::rank_0, Rendezvous::agent}) {
    Workplace place;
    place.write("small.toml", small_experiment());
    const Outcome outcome = wait_within(place, start_torchrun(place, rendezvous, kTrain));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("2 ranks, launched by torchrun"), std::string::npos) << outcome.err;
    EXPECT_EQ(RunView(place).metrics(), RunView(own).metrics());
    EXPECT_EQ(RunView(place).losses().size(), 20u);
  }
}

void expect_to_survive_a_kill(Rendezvous rendezvous, const std::string& rank) {
  Workplace whole, place;
  std::vector<std::string> train = kTrain;
  train.insert(train.end(),
               {"--set", "run.steps=60", "--set", "checkpoint.every=2", "--set", "checkpoint.keep=100"});
  for (const Workplace* p : {&whole, &place}) p->write("small.toml", small_experiment() + kHold);
  std::vector<std::string> command = train;
  command.insert(command.end(), {"--nproc", "2"});
  const std::vector<std::string> find = {"FOIL_PLUGIN_PATH=" FOIL_TEST_PLUGINS};
  ASSERT_EQ(foil_within(whole, command, find).code, 0);

  place.hold_at("5");
  const pid_t torchrun = start_torchrun(place, rendezvous, train, {"--max-restarts", "1"});
  const RunView run(place);
  ASSERT_TRUE(Workplace::eventually([&] { return place.is_held("5"); }))
      << slurp(place.folder / "stderr.txt");
  const auto first = run.checkpoints().at(0);
  const auto first_written = std::filesystem::last_write_time(first);
  const auto workers = workers_of(torchrun);
  ASSERT_EQ(workers.size(), 2u);
  ASSERT_EQ(::kill(workers.at(rank), SIGKILL), 0);
  place.let_go("5");
  const Outcome outcome = wait_within(place, torchrun);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(run.status()["state"], "finished");
  EXPECT_EQ(run.metrics(), RunView(whole).metrics());
  EXPECT_EQ(std::filesystem::last_write_time(first), first_written)
      << "it began anew instead of going on from its checkpoint";
}

TEST(Torchrun, StartsAgainWhenRank1IsKilledAndTheRunGoesOn) {
  expect_to_survive_a_kill(Rendezvous::rank_0, "1");
}
TEST(Torchrun, StartsAgainWhenRank0WhichKeepsTheStoreIsKilled) {
  expect_to_survive_a_kill(Rendezvous::rank_0, "0");
}
TEST(Torchrun, StartsAgainWithTheStoreOfTheAgent) { expect_to_survive_a_kill(Rendezvous::agent, "1"); }

}  // namespace
}  // namespace foil
