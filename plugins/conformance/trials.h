// SPDX-License-Identifier: BSD-3-Clause
// What the items of several kinds share: tiny seeded tensors, the global generator, what a component says of
// data it is not for.
#pragma once

#include "findings.h"

#include <foil/error.h>

#include <functional>
#include <optional>

namespace foil::conformance {

// Numbers in [0, 1), fp64, the same for the same seed.
Tensor random_numbers(at::IntArrayRef shape, uint64_t seed);
// 0 ... 255, uint8.
Tensor random_bytes(at::IntArrayRef shape, uint64_t seed);

// Whether anything was drawn from LibTorch's global generator of the CPU since this was made.
class GlobalDraws {
 public:
  GlobalDraws();
  bool any() const;

 private:
  Tensor before_;
};

// The refusal of `act`: an Error with what it says, or that it throws something else, which no component may
// for data it is not for. Nothing when it returns.
struct Refusal {
  bool is_error = false;
  std::string text;  // its first line
};
std::optional<Refusal> refusal(const std::function<void()>& act);

std::string text_of(at::IntArrayRef shape);  // "[3, 12, 10]"

}  // namespace foil::conformance
