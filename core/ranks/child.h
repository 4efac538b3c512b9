// SPDX-License-Identifier: BSD-3-Clause
// Child: one more process of this program.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace foil {

struct Child {
  std::vector<std::string> arguments;            // argv, with the name of the program
  std::map<std::string, std::string> variables;  // of the environment, over those of this process
  int kept = -1;                                 // a descriptor that is open in it, too
  int out = -1, error = -1;                      // become its stdout and stderr; -1 = those of this process
};

// fork and exec. The child is the leader of a process group of its own, so that a Ctrl-C reaches it from here
// only, not also from the terminal; it begins with the signals of `mask` blocked and none handled, and does
// not outlive the thread that started it. Throws Error (Exit::failure), which begins with `place`, when no
// process can be started.
pid_t start_child(const Child& child, const sigset_t& mask, const std::string& place);

}  // namespace foil
