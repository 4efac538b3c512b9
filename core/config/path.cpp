// SPDX-License-Identifier: BSD-3-Clause
#include "config/path.h"

#include "config/dump.h"
#include "run/text.h"

#include <foil/error.h>

#include <cstdlib>
#include <filesystem>

namespace fs = std::filesystem;

namespace foil {
namespace {

[[noreturn]] void refuse_path(const Node& value, const std::string& key, const std::string& got,
                              const std::string& allowed) {
  const std::string place = value.origin.text();
  fail(Exit::usage, place.empty() || place == "default" ? "" : place + ": ", key, " = ", got,
       ", allowed: ", allowed, ".");
}

}  // namespace

std::string path_of(const Node& value, const std::string& key) {
  std::string text = value.text();
  if (text.find('\0') != std::string::npos)
    refuse_path(value, key, shown(value), "a path, which holds no NUL");
  if (text.starts_with('~')) {
    const char* home = std::getenv("HOME");
    const bool own = text.size() == 1 || text[1] == '/';
    if (!own)
      refuse_path(value, key, shown(value),
                  "of '~' only \"~/\", the own home; a folder of that name is \"./" + text + "\"");
    if (!home || !*home) refuse_path(value, key, shown(value), "a path without '~', as HOME is not set");
    text = home + text.substr(1);
  }
  if (text.empty() || !value.origin.in_file()) return text;
  return (fs::path(value.origin.file).parent_path() / text).lexically_normal().string();
}

std::string absolute_path(const std::string& path, const Node& value, const std::string& key) {
  if (path.empty()) return path;
  std::error_code error;
  const fs::path whole = fs::absolute(path, error);
  if (error)
    fail(Exit::usage, key, " = ", shown(value), ": the working directory cannot be read: ", error.message(),
         ".");
  const std::string text = whole.lexically_normal().string();
  if (!is_utf8(text))
    refuse_path(value, key, printable(text), "a path in UTF-8, as the records of a run are");
  return text;
}

}  // namespace foil
