// SPDX-License-Identifier: BSD-3-Clause
// Paths as an experiment writes them.
#pragma once

#include "config/node.h"

namespace foil {

// The path that the text `value` of the option `key` means: "~/x" lies in the home folder; what a file says
// is relative to that file, anything else to the working directory. An empty text stays empty. Throws Error
// (Exit::usage) with the place for "~name", and for a path that is no path.
std::string path_of(const Node& value, const std::string& key);

// The same path from the root of the file system, as records keep it. Throws Error (Exit::usage) where it is
// not UTF-8, which they are.
std::string absolute_path(const std::string& path, const Node& value, const std::string& key);

}  // namespace foil
