// SPDX-License-Identifier: BSD-3-Clause
// The lock of a run folder: a small JSON file that names host, PID and the start of the process, so that a lock left by a killed
// process, even one whose PID was given to another since, is recognised and taken over.
#pragma once

#include <functional>
#include <string>

namespace foil {

class RunLock {
 public:
  // Takes `path`. Another live process, or any process of another host (which cannot be asked), throws and is named; a lock of a
  // dead process of this host is taken over, and say() hears of it.
  RunLock(const std::string& path, const std::function<void(const std::string&)>& say);
  ~RunLock();  // removes the file if it is still this process's (a forked child leaves its parent's)
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  std::string path_;
};

}  // namespace foil
