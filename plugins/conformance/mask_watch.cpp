// SPDX-License-Identifier: BSD-3-Clause
// Operations are seen on their way to autograd, under LibTorch's key for testing modes (held_detach.cpp uses
// it too).
#include "mask_watch.h"

#include <fmt/format.h>
#include <torch/library.h>
#include <torch/types.h>

#include <cmath>

namespace foil::conformance {
namespace {

using at::Scalar;
using at::Tensor;

constexpr auto kMode = c10::DispatchKey::TESTING_ONLY_GenericMode;
constexpr double kLarge = 50;
thread_local MaskWatch* current = nullptr;

void look(const char* operation, double value) {
  if (current && std::isfinite(value) && value <= -kLarge) current->note(operation, value);
}
void look(const char* operation, const Tensor& value) {
  if (current && value.dim() == 0 && value.is_floating_point()) look(operation, value.item<double>());
}

// A mask of zeros and ones, or of zeros and minus ones, times a large number.
void look_at_product(const Tensor& mask, double factor) {
  if (!current || !current->products() || !std::isfinite(factor) || std::abs(factor) < kLarge) return;
  const Tensor m = mask.detach().to(at::kDouble).abs(), hidden = m == 1;
  if (hidden.any().item<bool>() && (m == 0).any().item<bool>() && (hidden | (m == 0)).all().item<bool>())
    current->note("a product of a mask", factor);
}
void look_at_product(const Tensor& a, const Tensor& b) {
  if (b.dim() == 0 && b.is_floating_point())
    look_at_product(a, b.item<double>());
  else if (a.dim() == 0 && a.is_floating_point())
    look_at_product(b, a.item<double>());
}

using Below = c10::impl::ExcludeDispatchKeyGuard;

Tensor masked_fill(const Tensor& self, const Tensor& mask, const Scalar& value) {
  const Below below(kMode);
  look("masked_fill", value.toDouble());
  return at::masked_fill(self, mask, value);
}
Tensor masked_fill_tensor(const Tensor& self, const Tensor& mask, const Tensor& value) {
  const Below below(kMode);
  look("masked_fill", value);
  return at::masked_fill(self, mask, value);
}
Tensor& masked_fill_in_place(Tensor& self, const Tensor& mask, const Scalar& value) {
  const Below below(kMode);
  look("masked_fill", value.toDouble());
  return self.masked_fill_(mask, value);
}
Tensor& fill_diagonal(Tensor& self, const Scalar& value, bool wrap) {
  const Below below(kMode);
  look("fill_diagonal", value.toDouble());
  return self.fill_diagonal_(value, wrap);
}
Tensor where(const Tensor& condition, const Tensor& self, const Tensor& other) {
  const Below below(kMode);
  look("where", self);
  look("where", other);
  return at::where(condition, self, other);
}
Tensor product(const Tensor& self, const Tensor& other) {
  const Below below(kMode);
  look_at_product(self, other);
  return at::mul(self, other);
}
Tensor product_with_number(const Tensor& self, const Scalar& other) {
  const Below below(kMode);
  look_at_product(self, other.toDouble());
  return at::mul(self, other);
}

TORCH_LIBRARY_IMPL(aten, TESTING_ONLY_GenericMode, library) {
  library.impl("masked_fill.Scalar", masked_fill);
  library.impl("masked_fill.Tensor", masked_fill_tensor);
  library.impl("masked_fill_.Scalar", masked_fill_in_place);
  library.impl("fill_diagonal_", fill_diagonal);
  library.impl("where.self", where);
  library.impl("mul.Tensor", product);
  library.impl("mul.Scalar", product_with_number);
}

}  // namespace

struct MaskWatch::State {
  c10::impl::IncludeDispatchKeyGuard mode{kMode};
};

MaskWatch::MaskWatch(bool products) : state_(std::make_unique<State>()), products_(products) {
  current = this;
}
MaskWatch::~MaskWatch() { current = nullptr; }

void MaskWatch::note(const char* operation, double value) {
  if (found_.empty()) found_ = fmt::format("{} with {:g}", operation, value);
}

}  // namespace foil::conformance
