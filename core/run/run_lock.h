// SPDX-License-Identifier: BSD-3-Clause
// The lock of a run folder: a file that the kernel locks for as long as the run lives, and in it, as JSON,
// who holds it. The kernel's lock tells the living from the dead wherever it reaches, containers with one
// name among them; where it does not (another machine, a file system without locks) the file's modification
// time does, which the holder renews.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace foil {

class RunLock {
 public:
  struct Pace {
    std::chrono::milliseconds beat{5000};  // between two signs of life of the holder
    std::chrono::milliseconds silence{
        60000};  // without a sign for so long, a holder that cannot be asked counts as dead
  };
  // Takes `path`; throws, naming the holder, where it lives. A dead process of this machine is replaced at
  // once. One that cannot be asked is replaced when it has given no sign of life for `silence`, and this
  // waits until then. say() is told of the wait and of who was replaced.
  RunLock(const std::string& path, const std::function<void(const std::string&)>& say, Pace pace);
  RunLock(const std::string& path, const std::function<void(const std::string&)>& say)
      : RunLock(path, say, Pace()) {}
  ~RunLock();  // removes the file if it is still this process's (a forked child leaves its parent's)
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  class Heart;
  std::string path_;
  int64_t process_;
  int descriptor_ = -1;
  Heart* heart_ = nullptr;  // a thread, which a forked child does not have
};

}  // namespace foil
