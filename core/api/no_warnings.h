// SPDX-License-Identifier: BSD-3-Clause
// Silence for what LibTorch says once a process, such as that CSR tensors are in beta: a run's output is no
// place for that.
#pragma once

#include <c10/util/Exception.h>

namespace foil {

// While it lives, on this thread.
class NoWarnings {
 private:
  class Silent final : public c10::WarningHandler {
   public:
    void process(const c10::Warning&) override {}
  };
  Silent silent_;
  c10::WarningUtils::WarningHandlerGuard guard_{&silent_};
};

}  // namespace foil
