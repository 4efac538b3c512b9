// SPDX-License-Identifier: BSD-3-Clause
// Claims: how processes on any machines that share a file system divide the trials of a study. Nothing here
// needs locks, only that link() makes a name once.
//
// Of each trial the folder claims/TRIAL holds its attempts: 1, 2, ..., each a file that names who makes it
// and that this process touches while it lives; and 1.ended, 2.ended, ..., how they went. An attempt begins
// only when the one before it has ended, or when who made it is dead.
#pragma once

#include "run/holder.h"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace foil {

class Claims {
 public:
  struct Pace {
    std::chrono::milliseconds beat{5000};  // between two signs of life
    // Without a sign for so long, a process that cannot be asked counts as dead.
    std::chrono::milliseconds silence{60000};
  };
  enum class State { open, taken, complete, failed, pruned };
  // What has become of a trial.
  struct Look {
    State state = State::open;
    int attempts = 0;    // that were begun
    std::string reason;  // of a failure, or of pruning
    double seconds = 0;  // of all attempts that ended
    std::string config;  // what the last one ran
  };

  // Of the study in `folder`.
  explicit Claims(std::string folder, Pace pace);
  explicit Claims(std::string folder) : Claims(std::move(folder), Pace()) {}
  ~Claims();  // attempts that this process has not ended stay its own as long as it lives
  Claims(const Claims&) = delete;
  Claims& operator=(const Claims&) = delete;

  Look look(const std::string& trial) const;
  // Begins the attempt after those that were seen by `look`; false when another process was first.
  bool take(const std::string& trial, const Look& look);
  // Ends the attempt of this process. `config`: of the experiment that it ran. An open trial was stopped, and
  // anybody may go on with it.
  void end(const std::string& trial, State state, const std::string& config, const std::string& reason = "");

  // The process that works on the study in `folder` by a claim; nobody (process 0) where none does.
  static Holder worker_in(const std::string& folder, Pace pace);
  static Holder worker_in(const std::string& folder) { return worker_in(folder, Pace()); }

 private:
  class Heart;
  struct Held {
    int attempt = 0;
    std::chrono::steady_clock::time_point begin{};
  };
  std::string path(const std::string& trial, int attempt) const;

  std::string folder_;  // claims/
  Pace pace_;
  std::map<std::string, Held> held_;
  std::unique_ptr<Heart> heart_;
};

}  // namespace foil
