// SPDX-License-Identifier: BSD-3-Clause
// Part of the program alone. Threads that meet at the end of a parallel loop spin while they wait, by default
// for milliseconds: on a core that another program needs, that is time in which the thread they wait for
// could have worked. Here they spin for as long as a meeting takes on an idle machine, a fraction of a
// millisecond, and then sleep. OpenMP reads its variable when it is loaded, before main, so the program
// begins by starting itself again with it: same process, same arguments, and only when nobody has said how to
// wait. What it starts inherits the variable.
#include <linux/limits.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <cstring>

namespace {

bool says(const char* variable, const char* name) {
  const size_t length = std::strlen(name);
  return std::strncmp(variable, name, length) == 0 && variable[length] == '=';
}

// Runs before any library has been set up: it calls the system and nothing else. Without /proc, or where the
// program was started through the dynamic linker (then this file is the linker, AT_BASE is 0), the program
// goes on as it is.
void wait_with_patience(int, char** argv, char** environment) {
  static char spin_count[] = "GOMP_SPINCOUNT=" FOIL_SPIN_COUNT;
  size_t variables = 0;
  for (; environment[variables] != nullptr; ++variables) {
    if (says(environment[variables], "GOMP_SPINCOUNT") || says(environment[variables], "OMP_WAIT_POLICY"))
      return;
  }
  char program[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", program, sizeof program - 1);
  if (length <= 0 || ::getauxval(AT_BASE) == 0) return;
  program[length] = '\0';
  char* with_it[variables + 2];
  std::memcpy(with_it, environment, variables * sizeof *environment);
  with_it[variables] = spin_count;
  with_it[variables + 1] = nullptr;
  ::execve(program, argv, with_it);
}

__attribute__((section(".preinit_array"), used)) void (*const before_main)(int, char**,
                                                                           char**) = wait_with_patience;

}  // namespace
