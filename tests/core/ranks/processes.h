// SPDX-License-Identifier: BSD-3-Clause
// A test's view of the processes that it starts, which play the scenes of scenes.cpp; and a stranger at their
// ports.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace foil::test {

using namespace std::chrono_literals;

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

inline Process start(std::vector<std::string> arguments,
                     const std::vector<std::pair<std::string, std::string>>& variables = {}) {
  static int files = 0;
  const std::string output =
      testing::TempDir() + "ranks." + std::to_string(getpid()) + "." + std::to_string(files++);
  arguments.insert(arguments.begin(), "ranks");
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

// Where a process listens, as "ADDRESS:PORT" in the digits of /proc/net/tcp and tcp6: 0100007F is 127.0.0.1.
inline std::vector<std::string> listening(pid_t process) {
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

inline int port_of(const std::string& place) {
  return std::stoi(place.substr(place.find(':') + 1), nullptr, 16);
}

// A connection to a port of this machine that says `words` and hangs up.
inline void say_to(int port, const std::string& words) {
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
inline const std::vector<std::string>& garbage() {
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

}  // namespace foil::test
