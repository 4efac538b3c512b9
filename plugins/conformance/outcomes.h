// SPDX-License-Identifier: BSD-3-Clause
// Two outcomes, or two states, that should be one.
#pragma once

#include "findings.h"
#include "host.h"

namespace foil::conformance {

double largest(const Tensor& t);  // of the magnitudes; 0 for none
double largest(const Tensors& tensors);

// Within `relative` of each tensor's largest entry; small gradients beside large ones are held to the large
// ones' rounding.
void expect_close(Item& item, const std::string& where, const Outcome& got, const Outcome& want,
                  double relative);
void expect_close(Item& item, const std::string& where, const Tensors& got, const Tensors& want,
                  double relative);
void expect_equal_bits(Item& item, const std::string& where, const Outcome& got, const Outcome& want);
void expect_equal_bits(Item& item, const std::string& where, const Tensors& got, const Tensors& want);

}  // namespace foil::conformance
