// SPDX-License-Identifier: BSD-3-Clause
// Ranks as real processes. This program is also the parent (`--parent GRACE_MS SCENE NPROC`) and the rank
// (`--rank SCENE`) that the tests start.
#include "ranks/spawn.h"

#include "ranks/reducer.h"
#include "ranks/world.h"

#include <c10/util/Logging.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <sys/wait.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <torch/types.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <thread>

namespace {

using namespace std::chrono_literals;
using at::Tensor;
using foil::World;

// ---- A rank

volatile std::sig_atomic_t got_signal = 0;

void sleep_for_ever() {
  while (true) pause();
}

struct Fails : torch::autograd::Function<Fails> {
  static Tensor forward(torch::autograd::AutogradContext*, const Tensor& x) { return x * 1.0; }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 torch::autograd::variable_list) {
    throw foil::Error("no gradient today", foil::Exit::non_finite);
  }
};

void one_step(World& world, bool fails) {
  const Tensor weight = torch::ones({4, 4}, torch::kDouble).requires_grad_();
  foil::GradientReducer reducer({{"weight", weight}}, world.shared_from_this());
  const Tensor z = world.gather(torch::matmul(torch::ones({3, 4}, torch::kDouble), weight));
  const Tensor loss = fails ? Fails::apply(z).sum() : z.sum();
  reducer.prepare(loss);
  loss.backward();
  world.barrier();
}

int play(const std::string& scene, World& world) {
  const int64_t rank = world.rank();
  if (scene == "trains") {
    one_step(world, false);
    if (rank == 0) std::cout << "trained " << world.world_size() << "\n";
  } else if (scene == "fails_in_backward") {
    one_step(world, rank == 1);
  } else if (scene == "fails_on_rank_0") {
    one_step(world, rank == 0);
  } else if (scene == "fails_alone") {  // the others are in no collective: they get SIGTERM
    if (rank == 1) throw foil::Error("alone", foil::Exit::data);
    sleep_for_ever();
  } else if (scene == "killed") {
    if (rank == 2) raise(SIGKILL);
    world.barrier();
  } else if (scene == "stays") {  // until it is told to go on
    std::signal(SIGUSR1, [](int s) { got_signal = s; });
    std::cout << "ready " + std::to_string(getpid()) + "\n" << std::flush;
    while (!got_signal) std::this_thread::sleep_for(10ms);
    one_step(world, false);
    std::cout << "trained\n" << std::flush;
  } else if (scene == "late") {
    if (rank == 2) sleep_for_ever();
    world.barrier();
  } else if (scene == "stopped") {  // as a rank in a machine that swaps, or under a debugger
    if (rank == 1) raise(SIGSTOP);
    if (rank == 2) sleep_for_ever();
    world.barrier();
  } else if (scene == "nan_on_rank_2") {
    const std::string error = world.first_error(rank == 2 ? "step 7: the loss is nan" : "");
    if (!error.empty()) throw foil::Error(error, foil::Exit::non_finite);
  }
  return 0;
}

int rank_main(const std::string& scene) {
  c10::initLogging();  // reads TORCH_CPP_LOG_LEVEL: LibTorch warns of a store that closes while it is watched
  const foil::Launch launch = foil::read_launch();
  // Scenes without a world: processes alone.
  if (scene == "unprepared") {
    std::cout << "ready\n" << std::flush;
    sleep_for_ever();
  }
  if (scene == "stubborn") {
    if (launch.rank == 0) return 5;
    std::signal(SIGTERM, SIG_IGN);
    sleep_for_ever();
  }
  if (scene == "waits") {
    for (int signal : {SIGINT, SIGTERM, SIGUSR1}) std::signal(signal, [](int s) { got_signal = s; });
    std::cout << "ready " + std::to_string(getpid()) + " " + std::to_string(launch.local_rank) + "/" +
                     std::to_string(launch.local_world_size) + "\n"
              << std::flush;
    while (true) {
      const int signal = std::exchange(got_signal, 0);
      if (signal) std::cout << "signal " + std::to_string(signal) + ".\n" << std::flush;
      if (signal == SIGTERM) {
        std::this_thread::sleep_for(400ms * launch.rank);  // one rank ends well before the other
        std::cout << "end\n" << std::flush;
        return 75;
      }
      std::this_thread::sleep_for(10ms);
    }
  }
  std::shared_ptr<World> world;
  try {
    if (scene == "never_comes" && launch.rank == 2) sleep_for_ever();
    const auto patience = scene == "late" || scene == "never_comes" ? 15s : scene == "stopped" ? 60s : 600s;
    world = World::make(launch, at::kCPU, patience);  // a test that needs the 600 s fails
    const int code = play(scene, *world);
    world->close();
    if (scene == "never_ends" && launch.rank == 1) raise(SIGSTOP);
    return code;
  } catch (const std::exception& e) {
    const foil::Error reason = world ? world->explain(e) : foil::Error(e.what());
    if (!world || world->speaks()) std::cerr << "foil: " << reason.what() << std::endl;
    foil::write_error_file(reason.what(), static_cast<int>(reason.code()));
    return static_cast<int>(reason.code());
  }
}

// ---- A test's view of a process

struct Process {
  pid_t id;
  std::string output;  // file: stdout and stderr
  int store_port = 0;
  std::string read() const {
    std::ifstream file(output);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  int wait() const {
    int status = 0;
    waitpid(id, &status, 0);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  void wait_for(const std::string& text, size_t times) const {
    while (count(text) < times) std::this_thread::sleep_for(10ms);
  }
  size_t count(const std::string& text) const {
    size_t n = 0;
    const std::string all = read();
    for (size_t at = all.find(text); at != std::string::npos; at = all.find(text, at + 1)) ++n;
    return n;
  }
};

Process start(std::vector<std::string> arguments,
              const std::vector<std::pair<std::string, std::string>>& variables = {}) {
  static int files = 0;
  const std::string output =
      testing::TempDir() + "spawn_test." + std::to_string(getpid()) + "." + std::to_string(files++);
  arguments.insert(arguments.begin(), "spawn_test");
  const pid_t id = fork();
  if (id != 0) return {id, output};
  for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
  if (!freopen(output.c_str(), "w", stdout)) _exit(126);
  dup2(STDOUT_FILENO, STDERR_FILENO);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  execv("/proc/self/exe", argv.data());
  _exit(127);
}

Process start_parent(const std::string& scene, const std::string& grace_ms = "300000",
                     const std::string& nproc = "3", const std::string& patience_ms = "600000") {
  return start({"--parent", grace_ms, scene, nproc, patience_ms, "--nproc", nproc});
}

// The processes that said "ready PID".
std::vector<pid_t> ready(const Process& process) {
  std::vector<pid_t> ranks;
  std::istringstream words(process.read());
  for (std::string word; words >> word;) {
    if (word == "ready") words >> word, ranks.push_back(std::stoi(word));
  }
  return ranks;
}

// Where a process listens, as "ADDRESS:PORT" in the digits of /proc/net/tcp and tcp6: 0100007F is 127.0.0.1.
std::vector<std::string> listening(pid_t process) {
  std::vector<std::string> sockets, places;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone);
    if (target.starts_with("socket:[")) sockets.push_back(target.substr(8, target.size() - 9));
  }
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream lines(table);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream fields(line);
      std::string number, local, remote, state, skipped, inode;
      fields >> number >> local >> remote >> state;
      for (int i = 0; i < 5; ++i) fields >> skipped;
      fields >> inode;
      if (state == "0A" && std::count(sockets.begin(), sockets.end(), inode)) places.push_back(local);
    }
  }
  return places;
}

int port_of(const std::string& place) { return std::stoi(place.substr(place.find(':') + 1), nullptr, 16); }

// A connection to a port of this machine that says `words` and hangs up.
void say_to(int port, const std::string& words) {
  const int s = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(s, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(send(s, words.data(), words.size(), MSG_NOSIGNAL), static_cast<ssize_t>(words.size()));
  close(s);
}

// What a stranger may say: nothing, zeros, ones, bytes of every kind, and what another protocol begins with.
const std::vector<std::string>& garbage() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> words{"", std::string(8, '\0'), std::string(4096, '\xff'),
                                   "GET / HTTP/1.1\r\n\r\n"};
    for (int seed = 1; seed <= 8; ++seed) {
      std::string bytes;
      for (int i = 0; i < 600; ++i)
        bytes += static_cast<char>((seed * 2654435761u * static_cast<unsigned>(i * i + 1)) >> 13);
      words.push_back(bytes);
    }
    return words;
  }();
  return all;
}

bool alive(pid_t process) {
  std::ifstream stat("/proc/" + std::to_string(process) + "/stat");
  std::string line;
  return std::getline(stat, line) && line.substr(line.rfind(')') + 2, 1) != "Z";
}

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

}  // namespace

TEST(Spawn, TrainsAndReturnsZero) {
  const Process parent = start_parent("trains");
  EXPECT_EQ(parent.wait(), 0);
  EXPECT_EQ(parent.read(), "trained 3\n") << "nothing else is printed";
}

TEST(Spawn, OneRankFailingInBackwardEndsAllWithOneMessage) {
  const Process parent = start_parent("fails_in_backward");
  EXPECT_EQ(parent.wait(), 4);
  EXPECT_EQ(parent.read(), "foil: rank 1: no gradient today\n");
}

TEST(Spawn, AnAgreedErrorIsPrintedOnce) {
  const Process parent = start_parent("nan_on_rank_2");
  EXPECT_EQ(parent.wait(), 4);
  EXPECT_EQ(parent.read(), "foil: rank 2: step 7: the loss is nan\n");
}

TEST(Spawn, NamesTheRankThatWasKilled) {
  const Process parent = start_parent("killed");
  EXPECT_EQ(parent.wait(), 128 + SIGKILL);
  EXPECT_EQ(parent.read(), "foil: rank 2: killed by signal 9 (Killed).\n");
}

TEST(Spawn, ARankThatFailsAloneSpeaksForItself) {
  const Process parent = start_parent("fails_alone", "500");
  EXPECT_EQ(parent.wait(), 5);
  EXPECT_EQ(parent.read(), "foil: rank 1: alone\n");
}

TEST(Spawn, NamesTheLateRank) {
  const Process parent = start_parent("late", "5000");
  EXPECT_EQ(parent.wait(), 1);
  EXPECT_EQ(parent.read(), "foil: barrier: rank 2 did not come within 15 s, the other ranks wait.\n");
}

TEST(Spawn, ALongWaitNamesWhoIsLateAndWhoDoesNotEvenAnswer) {
  const Process parent = start_parent("stopped", "500");
  EXPECT_EQ(parent.wait(), 1);
  EXPECT_NE(parent.read().find("waiting in barrier for ranks 1 and 2 (rank 1 without an answer), "),
            std::string::npos)
      << parent.read();
  EXPECT_NE(parent.read().find(" s of at most 60\n"), std::string::npos) << parent.read();
  EXPECT_NE(parent.read().find("foil: rank 1 ended or cannot be reached.\n"), std::string::npos)
      << parent.read();
}

TEST(Spawn, ARankThatDoesNotEndIsNamedAndEndedByForce) {
  const Process parent = start_parent("never_ends", "100", "3", "1500");
  EXPECT_EQ(parent.wait(), 1);
  EXPECT_NE(parent.read().find("foil: rank 1 did not end within "), std::string::npos) << parent.read();
  EXPECT_NE(parent.read().find(" s of the first rank that did: ended by force.\n"), std::string::npos)
      << parent.read();
}

TEST(Spawn, NamesTheRankThatNeverComes) {
  const Process parent = start_parent("never_comes", "5000");
  EXPECT_EQ(parent.wait(), 1);
  EXPECT_NE(parent.read().find("foil: rank 2 of 3 did not come to the store of the ranks within 15 s"),
            std::string::npos)
      << parent.read();
}

TEST(Spawn, KillsARankThatIgnoresSigtermAndReturnsTheCodeOfTheFirst) {
  EXPECT_EQ(start_parent("stubborn", "300").wait(), 5);
}

TEST(Spawn, ForwardsSignalsOnceAndWaitsForRanksThatStopByAgreement) {
  const Process parent = start_parent("waits", "1");  // a failure would get SIGKILL after 2 ms
  parent.wait_for("ready", 3);
  EXPECT_EQ(parent.count(" 2/3\n"), 1u) << parent.read();
  for (int signal : {SIGUSR1, SIGINT, SIGTERM}) {
    kill(parent.id, signal);
    parent.wait_for("signal " + std::to_string(signal) + ".", 3);
  }
  EXPECT_EQ(parent.wait(), 75);
  EXPECT_EQ(parent.count("signal "), 9u) << parent.read();
  EXPECT_EQ(parent.count("end"), 3u) << parent.read();
}

TEST(Spawn, AStopThatCameBeforeTheRanksCouldTakeItIsNoFailure) {
  for (const auto& [signal, code] : {std::pair(SIGTERM, 75), {SIGUSR1, 75}, {SIGINT, 130}}) {
    const Process parent = start_parent("unprepared");
    parent.wait_for("ready", 3);
    kill(parent.id, signal);
    EXPECT_EQ(parent.wait(), code);
    EXPECT_EQ(parent.read(), "ready\nready\nready\n");
  }
}

TEST(Spawn, LeavesNoOrphan) {
  const Process parent = start_parent("waits");
  parent.wait_for("ready", 3);
  const std::vector<pid_t> ranks = ready(parent);
  ASSERT_EQ(ranks.size(), 3u);
  for (pid_t rank : ranks) EXPECT_TRUE(alive(rank));
  kill(parent.id, SIGKILL);
  EXPECT_EQ(parent.wait(), 128 + SIGKILL);
  for (pid_t rank : ranks) {
    while (alive(rank)) std::this_thread::sleep_for(10ms);  // an orphan hangs here
  }
}

TEST(Spawn, ListensOnTheLoopbackInterfaceOnlyAndGarbageChangesNothing) {
  const Process parent = start_parent("stays");
  parent.wait_for("ready", 3);
  EXPECT_EQ(listening(parent.id), std::vector<std::string>{}) << "the parent, who keeps the store";
  for (const pid_t rank : ready(parent)) {
    for (const std::string& place : listening(rank)) {
      EXPECT_TRUE(place.starts_with("0100007F:")) << place;
      for (const std::string& words : garbage()) say_to(port_of(place), words);
    }
  }
  kill(parent.id, SIGUSR1);
  EXPECT_EQ(parent.wait(), 0) << parent.read();
  EXPECT_EQ(parent.count("trained"), 3u) << parent.read();
}

TEST(Spawn, OneRankListensNowhere) {
  const Process parent = start_parent("stays", "300000", "1");
  parent.wait_for("ready", 1);
  const std::vector<pid_t> ranks = ready(parent);
  ASSERT_EQ(ranks.size(), 1u);
  EXPECT_EQ(listening(parent.id), std::vector<std::string>{});
  EXPECT_EQ(listening(ranks[0]), std::vector<std::string>{});
  kill(parent.id, SIGUSR1);
  EXPECT_EQ(parent.wait(), 0) << parent.read();
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
  foil::Launch launch;
  launch.rank = 1;
  launch.world_size = 2;
  launch.source = "torchrun";
  launch.address = "192.0.2.1";  // an address of documentation: never this machine, never reached
  launch.port = 1;
  try {
    World::make(launch, at::kCPU, 1s);
    FAIL();
  } catch (const foil::Error& e) {
    EXPECT_EQ(e.code(), foil::Exit::usage);
    EXPECT_TRUE(std::string(e.what()).starts_with("torchrun: ranks on several machines share a secret"))
        << e.what();
  }
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
  const std::string file = testing::TempDir() + "spawn_test.error." + std::to_string(getpid()) + ".";
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

int main(int argc, char** argv) {
  const std::string role = argc > 2 ? argv[1] : "";
  try {
    if (role == "--rank") return rank_main(argv[2]);
    if (role == "--parent")
      return foil::spawn_ranks(std::stoi(argv[4]), {argv[0], "--rank", argv[3], "--nproc", argv[4]},
                               std::chrono::milliseconds(std::stoi(argv[2])),
                               std::chrono::milliseconds(std::stoi(argv[5])));
  } catch (const std::exception& e) {
    std::cerr << e.what() << std::endl;
    return 99;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
