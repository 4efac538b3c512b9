// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

namespace foil {

// An argument as a shell reads it.
std::string quoted(const std::string& argument);

}  // namespace foil
