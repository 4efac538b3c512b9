// SPDX-License-Identifier: BSD-3-Clause
// Held detach: repeats a computation on other inputs while what detach() gives stays as it was the first
// time. The difference quotient of a loss is then the derivative that autograd should give, also where the
// loss stops gradients.
#pragma once

#include <torch/types.h>

#include <memory>
#include <vector>

namespace foil::conformance {

class HeldDetach {
 public:
  // Inside a scope of this thread, detach() is noted (record) or gives what it gave at the same place then
  // (replay).
  enum class Mode { record, replay };
  class Scope {
   public:
    Scope(HeldDetach& held, Mode mode);
    ~Scope();
    Scope(const Scope&) = delete;

   private:
    struct State;
    std::unique_ptr<State> state_;
  };
  at::Tensor pass(const at::Tensor& detached);

 private:
  std::vector<at::Tensor> values_;
  size_t next_ = 0;
  Mode mode_ = Mode::record;
};

}  // namespace foil::conformance
