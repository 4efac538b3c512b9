// SPDX-License-Identifier: BSD-3-Clause
// What the tests of the run's files share: a full file system, a child process, Python.
#pragma once

#include "run/file.h"
#include "tests/support/error_of.h"
#include "tests/support/run_python.h"
#include "tests/support/temp_folder.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace foil {

using test::error_of;
using test::run_python;
using test::TempFolder;

inline void write_plainly(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// The exit code of `action` run in a forked child; -SIGNAL when a signal ended it. A thrown Error is printed
// and gives 99.
template <class Action>
int exit_code_of_child(Action action) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      ::_exit(action());
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
      ::_exit(99);
    }
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// In a child process: makes `folder` a file system of `bytes` that really fills up. Where mounting is
// forbidden, limits the size of each file instead, which fails the same write with EFBIG.
inline void make_small(const std::string& folder, long bytes) {
  const uid_t user = ::getuid();
  if (user != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) {
    write_plainly("/proc/self/uid_map", "0 " + std::to_string(user) + " 1");
  } else if (user == 0 && ::unshare(CLONE_NEWNS) != 0) {
    std::fprintf(stderr, "no mount namespace\n");
  }
  ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  if (::mount("none", folder.c_str(), "tmpfs", 0, ("size=" + std::to_string(bytes)).c_str()) == 0) return;
  std::fprintf(stderr, "cannot mount a tmpfs: limiting the size of files instead\n");
  ::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{static_cast<rlim_t>(bytes), static_cast<rlim_t>(bytes)};
  ::setrlimit(RLIMIT_FSIZE, &limit);
}

}  // namespace foil
