// SPDX-License-Identifier: BSD-3-Clause
#include "outcomes.h"

#include <torch/types.h>

namespace foil::conformance {

double largest(const Tensor& t) { return t.numel() == 0 ? 0 : t.abs().max().item<double>(); }

double largest(const Tensors& tensors) {
  double most = 0;
  for (const auto& [name, t] : tensors) most = std::max(most, largest(t));
  return most;
}

void expect_close(Item& item, const std::string& where, const Outcome& got, const Outcome& want,
                  double relative) {
  item.expect_close(where, "the value", got.value, want.value, relative * std::max(1.0, largest(want.value)));
  const double all = largest(want.gradients);
  for (const auto& [name, gradient] : want.gradients) {
    const double scale = std::max({largest(gradient), 1e-3 * all, 1e-9});
    item.expect_close(where, "the gradient of " + name, got.gradients.at(name), gradient, relative * scale);
  }
  for (const auto& [name, value] : want.reports) {
    const auto reported = got.reports.find(name);
    item.expect(reported != got.reports.end(), where, "report '" + name + "' is missing");
    if (reported == got.reports.end()) continue;
    item.expect_close(where, "report '" + name + "'", reported->second, value,
                      relative * std::max(1.0, largest(value)));
  }
}

void expect_close(Item& item, const std::string& where, const Tensors& got, const Tensors& want,
                  double relative) {
  for (const auto& [name, tensor] : want) {
    item.expect_close(where, name, got.at(name), tensor, relative * std::max(largest(tensor), 1e-3));
  }
}

void expect_equal_bits(Item& item, const std::string& where, const Outcome& got, const Outcome& want) {
  item.expect_equal_bits(where, "the value", got.value, want.value);
  for (const auto& [name, gradient] : want.gradients) {
    item.expect_equal_bits(where, "the gradient of " + name, got.gradients.at(name), gradient);
  }
}

void expect_equal_bits(Item& item, const std::string& where, const Tensors& got, const Tensors& want) {
  for (const auto& [name, tensor] : want) item.expect_equal_bits(where, name, got.at(name), tensor);
}

}  // namespace foil::conformance
