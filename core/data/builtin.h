// SPDX-License-Identifier: BSD-3-Clause
// The names under which the program finds the readers and samplers of this folder.
#pragma once

#include <foil/component.h>

namespace foil {

void register_builtin_data(Plugin& plugin);

}  // namespace foil
