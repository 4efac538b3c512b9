// SPDX-License-Identifier: BSD-3-Clause
// Holder: a process that holds a file, as the file says, and whether it lives.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace foil {

// A process, and the kernel that can be asked for it: `boot` is one start of one machine, `pids` a
// container's numbering of its processes.
struct Holder {
  std::string host, boot, pids, start;
  int64_t process = 0;
};

Holder this_process();

// The process as a file names it, one line of JSON; and back: nobody (process 0) when the text is empty or
// cut short by a kill. `path` is where it was read.
std::string record_of(const Holder& holder);
Holder holder_in(const std::string& text, const std::string& path);

// What a file says, without the last newline; empty when it cannot be read.
std::string content_of(const std::string& file);
// "process 12 on host x".
std::string text_of(const Holder& holder);

// Whether `own`, this process, can ask the kernel for the holder; and what the kernel says then.
bool can_be_asked(const Holder& holder, const Holder& own);
bool alive(const Holder& holder);

// When the file was modified, and how long ago that was by the clock of its file system, whatever the clocks
// of the machines say. The file is opened anew, so that another machine, where its disk is there, is
// asked again. Throws Error where the file is gone.
struct Sign {
  std::chrono::milliseconds time{0}, age{0};
};
Sign last_sign(const std::string& path);

// Who holds the file, as far as can be told without waiting: a process that lives, or one that cannot be
// asked and gave a sign of life within `silence`. Nobody (process 0) where there is no file.
Holder living_holder(const std::string& path, std::chrono::milliseconds silence);

}  // namespace foil
