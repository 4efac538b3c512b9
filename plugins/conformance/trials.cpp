// SPDX-License-Identifier: BSD-3-Clause
#include "trials.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

#include <sstream>

namespace foil::conformance {

Tensor random_numbers(at::IntArrayRef shape, uint64_t seed) {
  return torch::rand(shape, at::make_generator<at::CPUGeneratorImpl>(seed), torch::kDouble);
}

Tensor random_bytes(at::IntArrayRef shape, uint64_t seed) {
  return torch::randint(0, 256, shape, at::make_generator<at::CPUGeneratorImpl>(seed), torch::kByte);
}

namespace {

Tensor global_state() { return at::globalContext().defaultGenerator(at::kCPU).get_state(); }

}  // namespace

GlobalDraws::GlobalDraws() : before_(global_state()) {}
bool GlobalDraws::any() const { return !torch::equal(before_, global_state()); }

std::optional<Refusal> refusal(const std::function<void()>& act) {
  try {
    act();
  } catch (const std::exception& error) {
    const std::string text = error.what();
    return Refusal{dynamic_cast<const Error*>(&error) != nullptr, text.substr(0, text.find('\n'))};
  }
  return std::nullopt;
}

std::string text_of(at::IntArrayRef shape) {
  std::ostringstream text;
  text << shape;
  return text.str();
}

}  // namespace foil::conformance
