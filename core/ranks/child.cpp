// SPDX-License-Identifier: BSD-3-Clause
// Between fork and exec the child calls the system and nothing else: other threads of the parent may have
// held any lock.
#include "ranks/child.h"

#include <foil/error.h>

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace foil {
namespace {

std::vector<std::string> environment(const Child& child) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry;
    if (!child.variables.count(text.substr(0, text.find('=')))) result.push_back(text);
  }
  for (const auto& [name, value] : child.variables) result.push_back(name + "=" + value);
  return result;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace

pid_t start_child(const Child& child, const sigset_t& mask, const std::string& place) {
  std::vector<std::string> arguments = child.arguments, variables = environment(child);
  const std::vector<char*> argv = pointers(arguments), env = pointers(variables);
  const pid_t parent = ::getpid();
  sigset_t all, before;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all,
                &before);  // a signal between fork and exec waits, and is lost to no handler
  const pid_t process = ::fork();
  const int error = errno;
  if (process == 0) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);  // the parent died before the line above
    for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) ::signal(signal, SIG_DFL);
    if (child.kept >= 0) ::fcntl(child.kept, F_SETFD, 0);
    if (child.out >= 0) ::dup2(child.out, STDOUT_FILENO);
    if (child.error >= 0) ::dup2(child.error, STDERR_FILENO);
    ::sigprocmask(SIG_SETMASK, &mask, nullptr);
    ::execve("/proc/self/exe", argv.data(), env.data());
    ::_exit(127);
  }
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  if (process < 0) fail(Exit::failure, place, ": cannot start a process: ", std::strerror(error), ".");
  return process;
}

}  // namespace foil
