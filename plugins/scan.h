// SPDX-License-Identifier: BSD-3-Clause
// Scan: what the libraries of some folders register, found out in child processes: one that crashes, ends the
// process or never comes back is a refusal here and nothing is loaded.
#pragma once

#include "loader.h"

namespace foil {

// Every library of the folders is loaded by a child of its own. What it registers enters `registry` by kind,
// name and origin only (it cannot be made or described); why it was refused is returned.
std::vector<Refused> scan_plugins(const std::vector<std::string>& folders, Registry& registry,
                                  bool trust = false);

}  // namespace foil
