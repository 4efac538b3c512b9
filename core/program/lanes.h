// SPDX-License-Identifier: BSD-3-Clause
// Lanes: trials in processes of their own, one or several at a time, and what each gets of the machine.
#pragma once

#include "run/signals.h"
#include "study/study.h"

#include <functional>
#include <string>
#include <vector>

namespace foil {

// The CUDA devices that a process may see: what CUDA_VISIBLE_DEVICES names (`visible`, null when it is not
// set), else the first `count`.
std::vector<std::string> cuda_devices(const char* visible, int count);

// CUDA_VISIBLE_DEVICES of each lane, whose trials have `ranks` ranks: as many devices as ranks, the next ones
// of the machine for each lane in turn, at most `per_gpu` lanes on one device. All devices where there are
// fewer than ranks; nothing where there are none. Throws Error (Exit::usage) for more lanes than find a
// place.
std::vector<std::string> share_devices(const std::vector<std::string>& devices, int lanes, int ranks,
                                       int per_gpu);

class Lanes final : public TrialRunner {
 public:
  struct Options {
    int lanes = 1;
    int ranks = 1;                          // of each trial
    int cores = 1;                          // of all lanes together: what they divide
    std::vector<std::string> devices = {};  // CUDA_VISIBLE_DEVICES of each lane; empty = as it is here
    bool quiet = false;                     // what trials write to stdout goes nowhere, not to stderr
  };
  // The arguments of the process that runs a trial.
  using Arguments =
      std::function<std::vector<std::string>(const PlannedTrial& trial, const std::string& folder)>;

  // While it lives, SIGINT, SIGTERM and SIGUSR1 ask to stop, the second SIGINT ends this process and its
  // trials at once. One lane writes where this process does; of several, each line goes to stderr behind the
  // name of its trial.
  Lanes(Options options, Arguments arguments);
  ~Lanes() override;  // ends what still runs
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  bool free() const override;
  void start(const PlannedTrial& trial, const std::string& folder) override;
  std::optional<TrialEnd> wait() override;
  int asked() const override;
  void ask(int code) override;
  void end(const std::string& trial) override;

 private:
  struct Lane {
    pid_t process = 0;  // 0: free
    std::string trial;
    int output = -1;   // the reading end of what it prints
    std::string line;  // that has not ended yet
    int sent = 0;      // the signal that this trial alone has got
  };
  void forward_requests();
  void read(Lane& lane);
  std::optional<TrialEnd> end_of(size_t lane);
  std::string words_file(size_t lane) const;
  std::string last_words(size_t lane) const;

  Options options_;
  Arguments arguments_;
  std::string scratch_;  // a folder for what lanes must not share
  std::vector<Lane> lanes_;
  int sent_ = 0;  // the signal that the trials have got
  SignalScope signals_;
};

}  // namespace foil
