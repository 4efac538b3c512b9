// SPDX-License-Identifier: BSD-3-Clause
// Folders of plugins that somebody names: whether they are there, and whether they may be believed.
#pragma once

#include "loader.h"

namespace foil {

// Empty where the folder is there; else why it is none, with the nearest name beside it: "no such folder:
// /a/plugin. Did you mean
// '/a/plugins'?"
std::string no_such_folder(const std::string& folder);

// A folder that a file names, and where: "runs/a/config.resolved.toml:3:9: plugins.path[0]".
struct NamedFolder {
  std::string folder, place;
  bool absolute = true;  // as it was written
};

// Which folders of a run's `record` plugins are loaded from. A run that came from elsewhere must not bring
// its own code: not from a record that another user may change, nor from folders that are relative or inside
// the run, unless `trust`. What is left out goes to `refused`.
std::vector<std::string> folders_of_record(const std::string& record, const std::vector<NamedFolder>& named,
                                           bool trust, std::vector<Refused>& refused);

// The folders of FOIL_PLUGIN_PATH that are not there, as messages.
std::vector<std::string> missing_plugin_folders();

}  // namespace foil
