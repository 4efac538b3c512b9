// SPDX-License-Identifier: BSD-3-Clause
#include "held_detach.h"

#include <torch/library.h>
#include <torch/types.h>

namespace foil::conformance {
namespace {

// LibTorch's key for testing modes: above autograd, without meaning of its own, off unless included on this
// thread.
constexpr auto kMode = c10::DispatchKey::TESTING_ONLY_GenericMode;
thread_local HeldDetach* current = nullptr;

at::Tensor detach(const at::Tensor& self) {
  c10::impl::ExcludeDispatchKeyGuard below(kMode);
  return current ? current->pass(self.detach()) : self.detach();
}

TORCH_LIBRARY_IMPL(_, TESTING_ONLY_GenericMode, library) {
  library.fallback(torch::CppFunction::makeFallthrough());
}
TORCH_LIBRARY_IMPL(aten, TESTING_ONLY_GenericMode, library) { library.impl("detach", detach); }

}  // namespace

struct HeldDetach::Scope::State {
  c10::impl::IncludeDispatchKeyGuard mode{kMode};
};

HeldDetach::Scope::Scope(HeldDetach& held, Mode mode) : state_(std::make_unique<State>()) {
  held.mode_ = mode;
  held.next_ = 0;
  if (mode == Mode::record) held.values_.clear();
  current = &held;
}

HeldDetach::Scope::~Scope() { current = nullptr; }

at::Tensor HeldDetach::pass(const at::Tensor& detached) {
  if (mode_ == Mode::record) {
    values_.push_back(detached.clone());
    return detached;
  }
  // A branch on the data may have led elsewhere: then the value is this one's own.
  const size_t place = next_++;
  const bool same = place < values_.size() && values_[place].sizes() == detached.sizes() &&
                    values_[place].dtype() == detached.dtype();
  return same ? values_[place].clone() : detached;
}

}  // namespace foil::conformance
