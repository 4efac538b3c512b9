// SPDX-License-Identifier: BSD-3-Clause
#include "commands.h"
#include "loader.h"
#include "run/file.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <map>
#include <unistd.h>

namespace foil {
namespace {

namespace fs = std::filesystem;

// "my_loss" -> "MyLoss".
std::string camel_case(const std::string& name) {
  std::string out;
  bool capital = true;
  for (const char c : name) {
    if (c != '_') out += capital ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    capital = c == '_';
  }
  return out;
}

void check_name(const Registry& registry, const NewOptions& options) {
  const std::string& name = options.name;
  const bool good =
      !name.empty() && std::islower(static_cast<unsigned char>(name[0])) && name.back() != '_' &&
      name.find("__") == std::string::npos &&
      std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::islower(c) || std::isdigit(c) || c == '_'; });
  if (!good)
    fail(Exit::usage, "foil new: NAME = '", name,
         "', allowed: lower-case letters, digits and single '_' between them, a letter first.");
  const std::vector<std::string> reserved{"all",  "clean",   "encoder", "features", "foil",   "help", "loss_input",
                                          "loss", "options", "package", "install",  "tensor", "test", "view"};
  if (std::find(reserved.begin(), reserved.end(), name) != reserved.end())
    fail(Exit::usage, "foil new: NAME = '", name, "' means something else to CMake or in the source. Choose another.");
  for (const Component* component : registry.all()) {
    if (component->name == name)
      fail(Exit::usage, "foil new: the name '", name, "' is taken: the ", component->kind, " of ", component->origin, ".");
  }
}

// The text of a template with what it leaves open.
std::string filled(std::string text, const NewOptions& options, const fs::path& prefix) {
  const std::pair<std::string, std::string> replacements[] = {
      {"my_plugin", options.name}, {"MyPlugin", camel_case(options.name)}, {"@KIND@", options.kind}, {"@FOIL@", prefix.string()}};
  for (const auto& [from, to] : replacements) {
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) text.replace(at, from.size(), to);
  }
  return text;
}

// The files of a template folder over those of `files`, by name.
void lay_over(std::map<std::string, std::string>& files, const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder))
    files[entry.path().filename().string()] = read_file(entry.path().string());
}

}  // namespace

int new_command(const Registry& registry, const NewOptions& options) {
  const fs::path prefix = fs::path(library_folder()).parent_path(), templates = prefix / "share" / "foil" / "template";
  if (!fs::is_directory(templates)) {
    fail(Exit::usage, "foil new: ", templates.string(),
         " is not there: plugins are made by an installed foil. In the clone: make install ", "PREFIX=DIR, then DIR/bin/foil new.");
  }
  check_name(registry, options);
  if (!options.with.empty() && options.kind != "loss") fail(Exit::usage, "foil new: --with ", options.with, " is for losses only.");
  const fs::path folder = fs::absolute(options.folder).lexically_normal();
  if (fs::exists(folder)) fail(Exit::usage, options.folder, ": exists already, allowed: a folder that does not.");

  std::map<std::string, std::string> files;
  std::vector<std::string> layers{"common", options.kind};
  if (!options.with.empty()) layers.push_back(options.kind + "_with_" + options.with);
  for (const std::string& layer : layers) lay_over(files, templates / layer);
  std::map<std::string, std::string> written;
  for (const auto& [name, text] : files) written[filled(name, options, prefix)] = filled(text, options, prefix);

  const fs::path draft = folder.string() + "." + std::to_string(::getpid());
  fs::create_directories(draft.parent_path());
  if (!fs::create_directory(draft)) fail(Exit::failure, draft.string(), ": is in the way.");  // not through a planted link
  try {
    for (const auto& [name, text] : written) write_atomically((draft / name).string(), text);
    fs::rename(draft, folder);
  } catch (const std::exception&) {
    std::error_code ignored;
    fs::remove_all(draft, ignored);
    throw;
  }
  std::printf("%s\n", folder.string().c_str());
  for (const auto& [name, text] : written) std::printf("  %s\n", name.c_str());
  std::printf("next: cd %s && make\n", options.folder.c_str());
  return 0;
}

}  // namespace foil
