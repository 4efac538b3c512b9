// SPDX-License-Identifier: BSD-3-Clause
#include "program/streams.h"

#include <foil/error.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace foil {
namespace {

// The reader of stdout wants no more: `foil compare ... | head`.
bool reader_has_gone() {
  pollfd out{STDOUT_FILENO, POLLOUT, 0};
  return ::poll(&out, 1, 0) > 0 && (out.revents & (POLLERR | POLLHUP));
}

}  // namespace

void guard_standard_streams() {
  for (int stream = 0; stream <= 2; ++stream) {
    if (::fcntl(stream, F_GETFD) < 0 && errno == EBADF)
      ::open("/dev/null", O_RDWR);  // takes the lowest number that is free
  }
  ::signal(SIGPIPE, SIG_IGN);
}

int after_printing(int code, const std::string& verb) {
  const bool failed = std::fflush(stdout) != 0 || std::ferror(stdout);
  if (!failed || reader_has_gone()) return code;
  std::fprintf(stderr, "stdout: could not be written; what was to be printed is lost\n");
  const bool keeps_files =
      verb == "train" || verb == "ablate" || verb == "evaluate" || verb == "export" || verb == "new";
  return code == 0 && !keeps_files ? static_cast<int>(Exit::failure) : code;
}

}  // namespace foil
