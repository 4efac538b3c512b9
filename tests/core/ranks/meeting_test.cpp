// SPDX-License-Identifier: BSD-3-Clause
// Ranks that another launcher starts, as real processes: how they meet, and who is not let in.
#include "processes.h"
#include "ranks/world.h"
#include "tests/support/error_of.h"

#include <nlohmann/json.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

namespace foil::test {
namespace {

int free_port() {
  const int s = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  bind(s, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(s, reinterpret_cast<sockaddr*>(&address), &size);
  close(s);
  return ntohs(address.sin_port);
}

// Three ranks as a launcher without a store of its own starts them: rank 0 keeps the store.
// The variables of `more` end in the rank, unless they are the same for all.
std::vector<Process> start_ranks(const std::string& scene,
                                 const std::vector<std::pair<std::string, std::string>>& more = {},
                                 bool ending_in_rank = true) {
  const std::string port = std::to_string(free_port());
  std::vector<Process> ranks;
  for (const char* rank : {"0", "1", "2"}) {
    std::vector<std::pair<std::string, std::string>> variables = {{"RANK", rank},
                                                                  {"LOCAL_RANK", rank},
                                                                  {"WORLD_SIZE", "3"},
                                                                  {"LOCAL_WORLD_SIZE", "3"},
                                                                  {"MASTER_ADDR", "127.0.0.1"},
                                                                  {"MASTER_PORT", port}};
    for (const auto& [name, value] : more)
      variables.emplace_back(name, ending_in_rank ? value + rank : value);
    ranks.push_back(start({"--rank", scene}, variables));
    ranks.back().store_port = std::stoi(port);
  }
  return ranks;
}

// Who reaches the store of rank 0 without the secret: the words of a failure under the names that foil gives
// them, every value there is replaced, and garbage. Ranks of one machine share a secret though they were
// given none.
TEST(Launched, AStrangerAtTheStoreOfRank0ChangesNothing) {
  for (const std::string secret : {"", "that of this run"}) {
    const auto ranks = start_ranks("stays", {{"FOIL_SECRET", secret}}, false);
    for (const Process& rank : ranks) rank.wait_for("ready", 1);
    bool reached = false;
    for (const Process& rank : ranks) {
      for (const std::string& place : listening(rank.id)) {
        EXPECT_TRUE(place.starts_with("0100007F:")) << place;
        const int port = port_of(place);
        for (const std::string& words : garbage()) say_to(port, words);
        if (port == rank.store_port) reached = true;
      }
    }
    EXPECT_TRUE(reached) << "rank 0 keeps no store";
    c10d::TCPStoreOptions options;
    options.port = static_cast<std::uint16_t>(ranks[0].store_port);
    options.waitWorkers = false;
    const c10::intrusive_ptr<c10d::Store> stranger =
        c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options);
    for (const char* prefix : {"", "foil//0/", "foil/"}) {
      stranger->set(std::string(prefix) + "failed", std::string("0 words of a stranger"));
      stranger->set(std::string(prefix) + "alarm", std::string("1"));
    }
    for (const std::string& key : stranger->listKeys())
      stranger->set(key, std::string("1 words of a stranger"));
    std::this_thread::sleep_for(500ms);  // for the watchers, who look ten times a second
    for (const Process& rank : ranks) kill(rank.id, SIGUSR1);
    for (const Process& rank : ranks) {
      EXPECT_EQ(rank.wait(), 0) << rank.read();
      EXPECT_EQ(rank.count("trained"), 1u) << rank.read();
      EXPECT_EQ(rank.count("stranger"), 0u) << rank.read();
    }
  }
}

TEST(Launched, ARankWithAnotherSecretIsNotOneOfThem) {
  const auto ranks =
      start_ranks("never_comes", {{"FOIL_SECRET", "secret "}});  // "secret 0", "secret 1", "secret 2"
  EXPECT_EQ(ranks[0].wait(), 1);
  EXPECT_NE(ranks[0].read().find("ranks 1 and 2 of 3 did not come to 127.0.0.1:"), std::string::npos)
      << ranks[0].read();
  EXPECT_NE(ranks[0].read().find("FOIL_SECRET must be the same on every rank."), std::string::npos)
      << ranks[0].read();
  for (const int r : {1, 2}) {
    kill(ranks[static_cast<size_t>(r)].id, SIGKILL);
    ranks[static_cast<size_t>(r)].wait();
  }
}

TEST(Launched, RanksOfSeveralMachinesNeedASecret) {
  Launch launch;
  launch.rank = 1;
  launch.world_size = 2;
  launch.source = "torchrun";
  launch.address = "192.0.2.1";  // an address of documentation: never this machine, never reached
  launch.port = 1;
  const std::string error = refusal([&] { World::make(launch, at::kCPU, 1s); });
  EXPECT_TRUE(error.starts_with("torchrun: ranks on several machines share a secret")) << error;
}

TEST(Launched, RanksMeetAtTheStoreOfRank0) {
  const auto ranks = start_ranks("trains");
  for (const Process& rank : ranks) EXPECT_EQ(rank.wait(), 0) << rank.read();
  EXPECT_EQ(ranks[0].read(), "trained 3\n");
}

TEST(Launched, RanksWithoutLocalVariablesMeetToo) {  // as in a cluster that gives each machine one rank and
                                                     // the four variables
  const auto ranks = start_ranks("trains", {{"LOCAL_RANK", ""}, {"LOCAL_WORLD_SIZE", ""}}, false);
  for (const Process& rank : ranks) EXPECT_EQ(rank.wait(), 0) << rank.read();
  EXPECT_EQ(ranks[0].read(), "trained 3\n");
}

TEST(Launched, TheStoreOutlivesTheFailureOfRank0) {
  const std::string file = testing::TempDir() + "meeting_test.error." + std::to_string(getpid()) + ".";
  const auto ranks = start_ranks("fails_on_rank_0", {{"TORCHELASTIC_ERROR_FILE", file}});
  for (const Process& rank : ranks) EXPECT_EQ(rank.wait(), 4) << rank.read();
  EXPECT_EQ(ranks[0].read() + ranks[1].read() + ranks[2].read(), "foil: rank 0: no gradient today\n");
  for (const char* rank : {"0", "1", "2"}) {
    const nlohmann::json error = nlohmann::json::parse(std::ifstream(file + rank));
    EXPECT_EQ(error["message"]["message"], "rank 0: no gradient today");
    EXPECT_EQ(error["message"]["errorCode"], 4);
    EXPECT_GT(std::stoll(error["message"]["extraInfo"]["timestamp"].get<std::string>()), 1'700'000'000);
  }
}

TEST(Launched, NamesTheRankWhoseProcessEnded) {
  const auto ranks = start_ranks("killed");
  EXPECT_EQ(ranks[2].wait(), 128 + SIGKILL);
  for (int r : {0, 1}) EXPECT_EQ(ranks[static_cast<size_t>(r)].wait(), 1);
  EXPECT_EQ(ranks[0].read() + ranks[1].read(), "foil: rank 2 ended or cannot be reached.\n");
}

}  // namespace
}  // namespace foil::test
