// SPDX-License-Identifier: BSD-3-Clause
// The handler touches one lock-free atomic and _exit, all that a signal handler may.
#include "run/signals.h"

#include <foil/error.h>

#include <unistd.h>

#include <atomic>

namespace foil {
namespace {

std::atomic<Stop> request = Stop::none;
static_assert(std::atomic<Stop>::is_always_lock_free);

void on_signal(int signal) {
  if (signal == SIGINT) {
    if (request.exchange(Stop::interrupt) == Stop::interrupt) ::_exit(static_cast<int>(Exit::interrupted));
  } else {
    Stop none = Stop::none;
    request.compare_exchange_strong(none, Stop::again);
  }
}

}  // namespace

SignalScope::SignalScope() {
  request = Stop::none;
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;  // no read or write of the run shall fail for it
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &action, &before_[i]);
}

SignalScope::~SignalScope() {
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
}

Stop SignalScope::requested() const { return request; }

}  // namespace foil
