// SPDX-License-Identifier: BSD-3-Clause
// A library to preload, only for tests: while the file hold/save is in the working folder, the first sync of
// a checkpoint's tensors takes it away and kills the process, with the new file written under its temporary
// name and not yet renamed.
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>

extern "C" int fsync(int descriptor) {
  char link[64], path[4096] = {};
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const bool tensors =
      ::readlink(link, path, sizeof path - 1) > 0 && std::strstr(path, ".safetensors.") != nullptr;
  if (tensors && ::unlink("hold/save") == 0) ::raise(SIGKILL);
  return static_cast<int>(::syscall(SYS_fsync, descriptor));
}
