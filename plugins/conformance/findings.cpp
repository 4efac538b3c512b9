// SPDX-License-Identifier: BSD-3-Clause
// The checks of one item: what they compared, and what is said of those that failed.
#include "findings.h"

#include <fmt/format.h>
#include <torch/types.h>

namespace foil::conformance {
namespace {

constexpr size_t kShown = 3;  // failures that are printed; the rest are counted

// "gradient of z[1][4, 2]": the place of entry `flat` in a tensor.
std::string entry(const std::string& what, const Tensor& tensor, int64_t flat) {
  std::string place;
  for (int64_t d = tensor.dim() - 1; d >= 0; --d) {
    place = std::to_string(flat % tensor.size(d)) + (place.empty() ? "" : ", ") + place;
    flat /= tensor.size(d);
  }
  return place.empty() ? what : what + " at [" + place + "]";
}

std::string shape(const Tensor& tensor) {
  std::ostringstream text;
  text << tensor.sizes();
  return text.str();
}

// ", everywhere 0.5 of it": when one factor explains the whole difference.
std::string common_factor(const Tensor& got, const Tensor& want) {
  const double square = want.square().sum().item<double>();
  if (want.numel() < 2 || !(square > 0)) return "";
  const double factor = (got * want).sum().item<double>() / square;
  const bool explains = (got - factor * want).norm().item<double>() <= 1e-6 * want.norm().item<double>();
  return explains && std::isfinite(factor) ? fmt::format(", everywhere {:.6g} of it", factor) : "";
}

}  // namespace

void Item::expect(bool holds, const std::string& where, const std::string& what_fails) {
  ++checks_;
  if (holds) return;
  if (failures_ == 0) reason_ = what_fails;
  if (++failures_ <= static_cast<int64_t>(kShown)) shown_.push_back(where + ": " + what_fails);
}

void Item::fold_into(const Item& earlier) {
  if (reason_.empty() || reason_ != earlier.reason_) return;
  shown_ = {"for the reason of '" + earlier.name_ + "'"};
  failures_ = 1;
}

void Item::expect_close(const std::string& where, const std::string& what, const Tensor& got,
                        const Tensor& want, double allowed) {
  allowed *= factor_;
  if (got.sizes() != want.sizes())
    return fail(where, fmt::format("{} is {}, expected {}", what, shape(got), shape(want)));
  if (want.numel() == 0) return expect(true, where, "");
  const Tensor a = got.detach().to(at::kCPU, at::kDouble), b = want.detach().to(at::kCPU, at::kDouble);
  const Tensor off = (a - b).abs().nan_to_num(std::numeric_limits<double>::infinity()).flatten();
  const int64_t at = off.argmax().item<int64_t>();
  const double worst = off[at].item<double>();
  if (worst <= allowed && worst > closest_ * allowed) {
    closest_ = worst / allowed;
    closest_at_ = where + ": " + what;
  }
  const bool holds = worst <= allowed;
  expect(holds, where,
         holds ? ""
               : fmt::format("{} is {:.9g}, expected {:.9g}{}: off by {:.3g}, allowed {:.3g}",
                             entry(what, a, at), a.flatten()[at].item<double>(),
                             b.flatten()[at].item<double>(), common_factor(a, b), worst, allowed));
}

void Item::expect_equal_bits(const std::string& where, const std::string& what, const Tensor& got,
                             const Tensor& want) {
  if (got.sizes() != want.sizes() || got.scalar_type() != want.scalar_type())
    return fail(where, fmt::format("{} is {} {}, expected {} {}", what, c10::toString(got.scalar_type()),
                                   shape(got), c10::toString(want.scalar_type()), shape(want)));
  const Tensor a = got.detach().cpu().contiguous(), b = want.detach().cpu().contiguous();
  if (std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0) return expect(true, where, "");
  const Tensor x = a.to(at::kDouble), y = b.to(at::kDouble);
  const Tensor off = (x - y).abs().nan_to_num(std::numeric_limits<double>::infinity()).flatten();
  const int64_t at = off.argmax().item<int64_t>();
  fail(where,
       fmt::format("{} is {:.17g}, expected the same bits as {:.17g}: off by {:.3g}", entry(what, a, at),
                   x.flatten()[at].item<double>(), y.flatten()[at].item<double>(), off[at].item<double>()));
}

void Item::expect_finite(const std::string& where, const std::string& what, const Tensor& got) {
  const Tensor bad = got.isfinite().logical_not().flatten();
  if (!bad.any().item<bool>()) return expect(true, where, "");
  const int64_t at = bad.to(at::kInt).argmax().item<int64_t>();
  fail(where, fmt::format("{} is {}", entry(what, got, at), got.flatten()[at].item<double>()));
}

std::string Item::text() const {
  if (skipped()) return fmt::format("  skip  {:<13} {}\n", name_, skipped_);
  std::string text = fmt::format("  {:<5} {:<13} ", failed() ? "FAIL" : "ok", name_);
  if (failed()) {
    text += fmt::format("{} of {} checks", failures_, checks_);
  } else {
    text += checks_ == 0 ? "nothing to check" : fmt::format("{} checks", checks_);
    if (closest_ > 0)
      text += fmt::format(", the closest at {:.2g} of its tolerance ({})", closest_, closest_at_);
  }
  for (const std::string& failure : shown_) text += "\n        " + failure;
  if (failures_ > static_cast<int64_t>(kShown))
    text += fmt::format("\n        and {} more", failures_ - static_cast<int64_t>(kShown));
  for (const std::string& line : notes_) text += "\n        note: " + line;
  return text + "\n";
}

}  // namespace foil::conformance
