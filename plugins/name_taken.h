// SPDX-License-Identifier: BSD-3-Clause
// The refusal of a library one of whose names another library, or foil itself, has registered before.
#pragma once

#include <foil/error.h>

namespace foil {

class NameTaken final : public Error {
 public:
  using Error::Error;
};

}  // namespace foil
