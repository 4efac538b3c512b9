// SPDX-License-Identifier: BSD-3-Clause
// The entries of [plugins] path, with the place where each was written.
#pragma once

#include "config/node.h"

#include <string>
#include <vector>

namespace foil {

struct PluginPath {
  std::string folder;  // absolute
  std::string given;   // as it was written
  std::string place;   // "FILE:LINE:COLUMN: plugins.path[0]"
  bool in_file;        // not by --set
};
// What is not a list of texts is left to `check`.
std::vector<PluginPath> named_plugin_paths(const Node& root);

}  // namespace foil
