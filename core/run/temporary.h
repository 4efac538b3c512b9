// SPDX-License-Identifier: BSD-3-Clause
// Temporary files that nobody can have prepared: a planted link or file of a name that can be guessed is
// never written through.
#pragma once

#include <string>

namespace foil {

// A new file beside `path`, of a name that is_temporary() knows. `bytes`: how many it will hold, for the
// message of an error.
struct Temporary {
  std::string name;
  int descriptor;  // open for writing; the caller closes it, and renames or removes the file
};
Temporary create_temporary(const std::string& path, size_t bytes = 0);

}  // namespace foil
