// SPDX-License-Identifier: BSD-3-Clause
// foil new: the templates of this installation under a name of the user's.
#include "commands.h"
#include "loader.h"
#include "run/file.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <map>

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

constexpr size_t kLongest = 64;

bool is_among(const std::string& name, const std::string& words) {
  return (" " + words + " ").find(" " + name + " ") != std::string::npos;
}

// What a name means already to those who read the files that carry it; null for nothing.
const char* meaning(const std::string& name) {
  if (is_among(name,
               "alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t "
               "char32_t class compl "
               "concept const consteval constexpr constinit const_cast continue co_await co_return co_yield "
               "decltype default delete do "
               "double dynamic_cast else enum explicit export extern false float for friend goto if inline "
               "int long mutable namespace "
               "new noexcept not not_eq nullptr operator or or_eq private protected public register "
               "reinterpret_cast requires return "
               "short signed sizeof static static_assert static_cast struct switch template this "
               "thread_local throw true try typedef "
               "typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq final "
               "override import module main "
               "assert linux unix errno"))
    return "a word of C++";
  if (is_among(name, "at c10 caffe2 cuda foil gtest std testing torch"))
    return "a namespace that the source uses";
  if (is_among(name,
               "all ablate build clean cmake ctest depend edit_cache foil_torch help install install_local "
               "install_strip "
               "list_install_components package package_source preinstall rebuild_cache run_tests runs test "
               "train"))
    return "a target or a folder of its build";
  // MyPlugin, the class, must not be one that the source names without foil::.
  if (is_among(name,
               "autograd_context augmentation dataset encoder features fields folder loss loss_input options "
               "sampler split table "
               "tensor view"))
    return "a name that the source uses";
  return nullptr;
}

void check_name(const Registry& registry, const NewOptions& options) {
  const std::string& name = options.name;
  const bool good = !name.empty() && std::islower(static_cast<unsigned char>(name[0])) &&
                    name.back() != '_' && name.find("__") == std::string::npos &&
                    std::all_of(name.begin(), name.end(), [](unsigned char c) {
                      return std::islower(c) || std::isdigit(c) || c == '_';
                    });
  if (!good)
    fail(Exit::usage, "foil new: NAME = '", name,
         "', allowed: lower-case letters, digits and single '_' between them, a letter first.");
  if (name.size() > kLongest)
    fail(Exit::usage, "foil new: NAME has ", name.size(), " letters, allowed: at most ", kLongest, ".");
  if (const char* what = meaning(name))
    fail(Exit::usage, "foil new: NAME = '", name, "' is ", what, ". Choose another.");
  for (const Component* component : registry.all()) {
    if (component->name == name)
      fail(Exit::usage, "foil new: the name '", name, "' is taken: the ", component->kind, " of ",
           component->origin, ".");
  }
}

// The text of a template with what it leaves open.
std::string filled(std::string text, const NewOptions& options, const fs::path& prefix) {
  const std::pair<std::string, std::string> replacements[] = {{"my_plugin", options.name},
                                                              {"MyPlugin", camel_case(options.name)},
                                                              {"@KIND@", options.kind},
                                                              {"@FOIL@", prefix.string()}};
  for (const auto& [from, to] : replacements) {
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
      text.replace(at, from.size(), to);
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
  const fs::path prefix = fs::path(library_folder()).parent_path(),
                 templates = prefix / "share" / "foil" / "template";
  if (!fs::is_directory(templates)) {
    fail(Exit::usage, "foil new: ", templates.string(),
         " is not there: plugins are made by an installed foil. In the clone: make install ",
         "PREFIX=DIR, then DIR/bin/foil new.");
  }
  check_name(registry, options);
  if (!options.with.empty() && options.kind != "loss")
    fail(Exit::usage, "foil new: --with ", options.with, " is for losses only.");
  const fs::path folder = fs::absolute(options.folder).lexically_normal();
  if (fs::exists(folder))
    fail(Exit::usage, options.folder, ": exists already, allowed: a folder that does not.");

  std::map<std::string, std::string> files;
  std::vector<std::string> layers{"common", options.kind};
  if (!options.with.empty()) layers.push_back(options.kind + "_with_" + options.with);
  for (const std::string& layer : layers) lay_over(files, templates / layer);
  std::map<std::string, std::string> written;
  for (const auto& [name, text] : files)
    written[filled(name, options, prefix)] = filled(text, options, prefix);

  const fs::path draft = folder.string() + "." + std::to_string(::getpid());
  fs::create_directories(draft.parent_path());
  if (!fs::create_directory(draft))
    fail(Exit::failure, draft.string(), ": is in the way.");  // not through a planted link
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
