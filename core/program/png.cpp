// SPDX-License-Identifier: BSD-3-Clause
// One process of rsvg-convert a picture.
#include "program/png.h"

#include <foil/error.h>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

namespace foil {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> svgs_in(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none))
    if (entry.path().extension() == ".svg") found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

void draw(const fs::path& svg) {
  const std::string input = fs::absolute(svg), output = fs::absolute(svg).replace_extension(".png");
  std::vector<std::string> words = {"rsvg-convert", "--zoom", "2", "--output", output, input};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t process = 0;
  const int error = ::posix_spawnp(&process, arguments[0], nullptr, nullptr, arguments.data(), environ);
  if (error == ENOENT)
    fail(Exit::failure, "--png: rsvg-convert, which draws SVG as PNG, is not there (Debian: librsvg2-bin).");
  if (error != 0) fail(Exit::failure, "--png: rsvg-convert: ", std::strerror(error), ".");
  int status = 0;
  while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    fail(Exit::failure, "--png: rsvg-convert could not draw ", svg.string(), ".");
}

}  // namespace

void write_pngs(const std::string& folder) {
  for (const fs::path& where : {fs::path(folder), fs::path(folder) / "figures"})
    for (const fs::path& svg : svgs_in(where)) draw(svg);
}

}  // namespace foil
