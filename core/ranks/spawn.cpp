// SPDX-License-Identifier: BSD-3-Clause
// The parent of `--nproc N` keeps the store, so that the reason of a failure outlives every rank; it takes no
// part in training. It listens nowhere.
#include "ranks/spawn.h"

#include "ranks/child.h"
#include "ranks/failure.h"
#include "ranks/parent_store.h"
#include "ranks/sealed_store.h"
#include "run/cores.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iostream>
#include <map>
#include <set>

namespace foil {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kSilence{10};  // between two words about ranks that do not end

std::vector<std::string> without_nproc(const std::vector<std::string>& argv) {
  std::vector<std::string> kept;
  for (size_t i = 1; i < argv.size(); ++i) {
    if (argv[i] == "--nproc")
      ++i;
    else if (argv[i].rfind("--nproc=", 0) != 0)
      kept.push_back(argv[i]);
  }
  return kept;
}

int code_of_stop(int signal) { return static_cast<int>(signal == SIGINT ? Exit::interrupted : Exit::again); }

bool is_agreed_stop(int code) {
  return code == static_cast<int>(Exit::again) || code == static_cast<int>(Exit::interrupted);
}

// The ranks that run, by process.
class Family {
 public:
  explicit Family(c10d::Store& store) : store_(store) {}
  ~Family() {
    send(SIGKILL);
    while (!ranks_.empty()) reap(0);
  }
  void add(pid_t process, int rank) { ranks_[process] = rank; }
  bool empty() const { return ranks_.empty(); }
  void send(int signal) const {
    for (const auto& [process, rank] : ranks_) kill(process, signal);
  }
  // Hands on a request to stop. A rank that it ends, because it came before the rank could take requests,
  // stopped as asked.
  void ask(int signal) {
    asked_.insert(signal);
    send(signal);
  }
  // Takes note of ended ranks; with WNOHANG without waiting for one.
  void reap(int options) {
    int status = 0;
    for (pid_t process; !ranks_.empty() && (process = waitpid(-1, &status, options)) > 0;) {
      const auto it = ranks_.find(process);
      if (it == ranks_.end()) continue;
      const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
      if (asked_.contains(signal)) {
        code_ = code_ == 0 ? code_of_stop(signal) : code_;
      } else if (const int code = signal != 0 ? 128 + signal : WEXITSTATUS(status); code != 0 && code_ == 0) {
        failed(it->second, code, signal);
      }
      note_end_of_run();
      ranks_.erase(it);
      if (options == 0) return;
    }
  }
  void note_end_of_run() {
    if (end_ == Clock::time_point{}) end_ = due_ = Clock::now();
  }
  // Names the ranks that have not ended though the run has, again and again; past `patience` they have
  // failed.
  void speak_of_late_ends(std::chrono::milliseconds patience) {
    if (end_ == Clock::time_point{} || (code_ != 0 && !is_agreed_stop(code_)) || ranks_.empty()) return;
    const auto since = Clock::now() - end_;
    if (Clock::now() < due_ + std::min<Clock::duration>(kSilence, patience)) return;
    due_ = Clock::now();
    std::vector<int> late;
    for (const auto& [process, rank] : ranks_) late.push_back(rank);
    std::sort(late.begin(), late.end());
    const std::string text = fmt::format("{} did not end within {} s of the end of the run", rank_names(late),
                                         std::chrono::duration_cast<std::chrono::seconds>(since).count());
    const bool by_force = since > patience;
    if (by_force) code_ = static_cast<int>(Exit::failure);
    std::cerr << "foil: " << text << (by_force ? ": ended by force." : ", still waiting.") << std::endl;
  }
  int code() const { return code_; }
  const std::string& killed() const { return killed_; }

 private:
  void failed(int rank, int code, int signal) {
    code_ = code;
    if (signal == 0) return;
    killed_ = "rank " + std::to_string(rank) + ": killed by signal " + std::to_string(signal) + " (" +
              strsignal(signal) + ").";
    post_failure(store_, killed_, code);
  }

  c10d::Store& store_;
  std::map<pid_t, int> ranks_;
  std::set<int> asked_;  // signals
  int code_ = 0;
  std::string killed_;
  Clock::time_point end_{}, due_{};  // of the run; when late ranks were last spoken of
};

}  // namespace

int spawn_ranks(int nproc, const std::vector<std::string>& argv, std::chrono::milliseconds grace,
                std::chrono::milliseconds patience) {
  if (nproc < 1) fail(Exit::usage, "--nproc ", nproc, ", allowed: an integer > 0.");
  sigset_t handled, before;
  sigemptyset(&handled);
  for (int signal : {SIGINT, SIGTERM, SIGUSR1, SIGCHLD}) sigaddset(&handled, signal);
  sigprocmask(SIG_BLOCK, &handled, &before);

  StoreKeeper keeper;
  const auto store = keys_of_launch(keeper.store(), "", 0);

  std::vector<std::string> arguments = without_nproc(argv);
  arguments.insert(arguments.begin(), argv.empty() ? "foil" : argv[0]);
  std::map<std::string, std::string> variables = {
      {"WORLD_SIZE", std::to_string(nproc)}, {"LOCAL_WORLD_SIZE", std::to_string(nproc)},
      {"FOIL_LAUNCHER", "--nproc"},          {"FOIL_SECRET", random_secret()},
      {"TORCHELASTIC_RUN_ID", ""},           {"TORCHELASTIC_RESTART_COUNT", "0"}};
  if (!std::getenv("OMP_NUM_THREADS")) {
    variables["OMP_NUM_THREADS"] = std::to_string(std::max(1, usable_cores() / nproc));
  }
  Family family(*store);
  for (int rank = 0; rank < nproc; ++rank) {
    const int connection = nproc > 1 ? keeper.connect() : -1;  // one rank has nobody to meet
    variables["RANK"] = variables["LOCAL_RANK"] = std::to_string(rank);
    variables["FOIL_STORE"] = std::to_string(connection);
    family.add(start_child({arguments, variables, connection}, before, "--nproc"), rank);
    ::close(connection);
  }
  if (nproc > 1) keeper.start();

  int sent = 0;  // what the survivors of a failure got: nothing, SIGTERM, SIGKILL
  Clock::time_point failed_at{};
  while (!family.empty()) {
    const timespec quarter{0, 250'000'000};
    const int signal = sigtimedwait(&handled, nullptr, &quarter);
    if (signal > 0 && signal != SIGCHLD) family.ask(signal);
    family.reap(WNOHANG);
    if (end_was_noted(*store)) family.note_end_of_run();
    family.speak_of_late_ends(patience);
    if (family.code() == 0 || is_agreed_stop(family.code())) continue;
    if (failed_at == Clock::time_point{}) failed_at = Clock::now();
    const auto since = Clock::now() - failed_at;
    int due = 0;
    if (since > grace) due = since > 2 * grace ? SIGKILL : SIGTERM;
    if (due != sent) family.send(sent = due);
  }
  if (!family.killed().empty() && !failure_was_spoken(*store))
    std::cerr << "foil: " << family.killed() << std::endl;
  sigprocmask(SIG_SETMASK, &before, nullptr);
  return family.code();
}

void write_error_file(const std::string& message, int code) {
  const char* path = std::getenv("TORCHELASTIC_ERROR_FILE");
  if (!path || !*path) return;
  const nlohmann::json error = {
      {"message",
       {{"message", message},
        {"errorCode", code},
        {"extraInfo", {{"py_callstack", message}, {"timestamp", std::to_string(std::time(nullptr))}}}}}};
  std::ofstream(path) << error.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace foil
