// SPDX-License-Identifier: BSD-3-Clause
// Loader: shared libraries -> registry. What a library was built for is read from its ELF note before it is
// loaded.
#pragma once

#include "registry.h"

namespace foil {

// What this program is built for; a plugin must carry the same text.
const char* program_abi();

// The text of the ELF note of a plugin, read from the file without loading it. Throws Error (Exit::plugin)
// when the file is missing, is not an ELF shared library, is damaged, or is not a foil plugin.
std::string plugin_abi(const std::string& file);

// Refuses, or loads for ever and registers. A refusal is an Error (Exit::plugin) that says what the file was
// built for, what this program is, and what to do. A file that another user may change or exchange
// (ownership.h) is refused unless `trust`.
void load_plugin(const std::string& file, Registry& registry, bool trust = false);

struct Refused {
  std::string file, reason;
  bool name_taken = false;  // refused for a name that another library, or foil itself, has registered
};

// The *.so of a folder in byte order; none when there is no such folder.
std::vector<std::string> plugin_files(const std::string& folder);

// Loads every *.so of the folders in byte order; what the registry has already is left alone. A refused
// library does not stop the others: its name may not be needed. Returns the refusals. A library that crashes
// ends the process, with its name on stderr and exit code 3: to load each in a process of its own first would
// double the start of every run; `foil plugins` and `foil doctor`, which are asked when something is wrong,
// do so (scan.h).
std::vector<Refused> load_plugins(const std::vector<std::string>& folders, Registry& registry,
                                  bool trust = false);

// The folder of libfoil.so: of the build, or PREFIX/lib.
std::string library_folder();

// Where plugins are looked for, as absolute paths: `paths` ([plugins] path), FOIL_PLUGIN_PATH (colon
// separated), and beside libfoil.so: plugins/ (build) and foil/plugins (installed).
std::vector<std::string> plugin_folders(const std::vector<std::string>& paths);

}  // namespace foil
