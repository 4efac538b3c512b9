// SPDX-License-Identifier: BSD-3-Clause
// Requests to stop, turned from signals into a question that the loop asks at each step boundary. Does not
// stop anything itself, but for the second SIGINT, which ends the process at once.
#pragma once

#include <signal.h>

#include <array>

namespace foil {

enum class Stop {
  none,
  again,     // SIGTERM or SIGUSR1: checkpoint, then Exit::again
  interrupt  // SIGINT: checkpoint, then Exit::interrupted; outweighs `again`
};

// While one lives (at most one does), SIGINT, SIGTERM and SIGUSR1 only ask to stop. The handlers of before
// return with its end.
class SignalScope {
 public:
  SignalScope();
  ~SignalScope();
  SignalScope(const SignalScope&) = delete;
  SignalScope& operator=(const SignalScope&) = delete;

  Stop requested() const;

 private:
  static constexpr std::array kSignals = {SIGINT, SIGTERM, SIGUSR1};
  std::array<struct sigaction, kSignals.size()> before_;
};

}  // namespace foil
