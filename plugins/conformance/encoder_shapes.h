// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "conformance.h"

namespace foil::conformance {

// The item "shapes" of an encoder.
void encoder_shapes_are_as_said(const Subject& subject, Item& item);

}  // namespace foil::conformance
