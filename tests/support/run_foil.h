// SPDX-License-Identifier: BSD-3-Clause
// Runs the built program as a user does, in a folder of its own. FOIL_PROGRAM is its path.
#pragma once

#include "tests/support/temp_folder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace foil {

struct Outcome {
  int code = -1;  // exit code; 128 + signal when killed
  std::string out, err;
};

inline std::string slurp(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// A temporary folder, in which programs run and files are written.
class Workplace {
  const test::TempFolder home_;

 public:
  std::string write(const std::string& name, const std::string& text) const {
    home_.write(name, text);
    return name;
  }

  // Starts a program; stdout and stderr go to files beside. `env`: NAME=VALUE, added to this process's.
  pid_t start(const std::vector<std::string>& command, const std::vector<std::string>& env = {}) const {
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    if (::chdir(folder.c_str()) != 0) ::_exit(99);
    ::setpgid(0, 0);
    const int out = ::open("stdout.txt", O_CREAT | O_TRUNC | O_WRONLY, 0644),
              err = ::open("stderr.txt", O_CREAT | O_TRUNC | O_WRONLY, 0644);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(err, STDERR_FILENO);
    for (const std::string& variable : env) ::putenv(const_cast<char*>(variable.c_str()));
    std::vector<char*> argv;
    for (const std::string& argument : command) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    ::execvp(argv[0], argv.data());
    ::_exit(98);
  }
  Outcome wait(pid_t pid) const {
    int status = 0;
    ::waitpid(pid, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), slurp(folder / "stdout.txt"),
            slurp(folder / "stderr.txt")};
  }
  Outcome run(const std::vector<std::string>& command, const std::vector<std::string>& env = {}) const {
    return wait(start(command, env));
  }
  Outcome foil(std::vector<std::string> arguments, const std::vector<std::string>& env = {}) const {
    arguments.insert(arguments.begin(), FOIL_PROGRAM);
    return run(arguments, env);
  }
  pid_t start_foil(std::vector<std::string> arguments, const std::vector<std::string>& env = {}) const {
    arguments.insert(arguments.begin(), FOIL_PROGRAM);
    return start(arguments, env);
  }
  // Waits until `ready`; false after half an hour, as nothing takes so long that is not a hang, on however
  // busy a machine.
  static bool eventually(const std::function<bool()>& ready) {
    for (int i = 0; i < 180'000; ++i) {
      if (ready()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  // Of the augmentation "hold" (tests/support/plugins/hold.cpp): stops the run that works here at a step, or
  // at "evaluation".
  void hold_at(const std::string& place) const { write("hold/" + place, ""); }
  bool is_held(const std::string& place) const {
    return std::filesystem::exists(folder / "hold" / (place + ".here"));
  }
  void let_go(const std::string& place) const {
    std::filesystem::remove(folder / "hold" / (place + ".here"));
  }

  const std::filesystem::path folder = home_.path();
};

inline const std::string kHold = "[[augment]]\nname = \"hold\"\n";

// A small experiment that trains in a second, on synthetic images: BatchNorm, momentum, three augmentations.
inline std::string small_experiment(const std::string& more_run = "", const std::string& loss = "infonce") {
  return "[run]\nname = \"small\"\nsteps = 20\nthreads = 1\ndeterministic = true\n" + more_run +
         "\n[data]\nname = \"synthetic\"\nsamples = 257\ntest_samples = 101\nclasses = 3\nchannels = 3\n"
         "size = 12\nbatch_size = 64\n\n[[augment]]\nname = \"random_resized_crop\"\nsize = [12, 12]\n"
         "[[augment]]\nname = \"horizontal_flip\"\n[[augment]]\nname = \"color_jitter\"\n\n[encoder]\n"
         "name = \"small_cnn\"\nwidths = [8, 16]\n\n[head]\ndims = [16, 8]\n\n[[loss]]\nname = \"" +
         loss +
         "\"\ntemperature = 0.2\n\n[optimizer]\nname = \"sgd\"\nlearning_rate = 0.05\n\n[evaluate]\n"
         "linear = false\nneighbours = 5\n";
}

}  // namespace foil
