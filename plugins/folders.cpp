// SPDX-License-Identifier: BSD-3-Clause
// Where plugins are looked for: the folders that an experiment, a run's record and the environment name.
#include "folders.h"

#include "ownership.h"

#include <algorithm>
#include <filesystem>
#include <sstream>

namespace foil {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> folders_of_environment() {
  std::vector<std::string> folders;
  const char* listed = std::getenv("FOIL_PLUGIN_PATH");
  std::istringstream list(listed ? listed : "");
  for (std::string folder; std::getline(list, folder, ':');) {
    if (!folder.empty()) folders.push_back(folder);
  }
  return folders;
}

bool is_inside(const fs::path& path, const fs::path& folder) {
  const fs::path relative = fs::weakly_canonical(path).lexically_relative(fs::weakly_canonical(folder));
  return !relative.empty() && *relative.begin() != "..";
}

}  // namespace

std::string no_such_folder(const std::string& folder) {
  std::error_code ignored;
  if (fs::is_directory(folder, ignored)) return "";
  if (fs::exists(folder, ignored))
    return "is no folder: " + folder + ", allowed: the folder that holds the plugins.";
  fs::path above = fs::absolute(folder).lexically_normal();
  if (!above.has_filename()) above = above.parent_path();
  std::string missing;
  do {  // up to the first part of the path that is not there
    missing = above.filename().string();
    above = above.parent_path();
  } while (above.has_relative_path() && !fs::is_directory(above, ignored));
  std::vector<std::string> beside;
  for (const auto& entry : fs::directory_iterator(above, ignored)) {
    if (entry.is_directory(ignored)) beside.push_back(entry.path().filename().string());
  }
  std::sort(beside.begin(), beside.end());
  const std::string near = nearest(missing, beside);
  return "no such folder: " + folder + "." +
         (near.empty() ? "" : " Did you mean '" + (above / near).string() + "'?");
}

std::vector<std::string> folders_of_record(const std::string& record, const std::vector<NamedFolder>& named,
                                           bool trust, std::vector<Refused>& refused) {
  std::vector<std::string> folders;
  const std::string who = trust || named.empty() ? "" : who_else_may_change(record);
  for (const NamedFolder& one : named) {
    std::string reason = no_such_folder(one.folder);
    if (reason.empty() && !trust) {
      const std::string what = "plugins are not loaded from " + one.folder + ": ";
      if (!who.empty())
        reason = what + who;
      else if (!one.absolute || is_inside(one.folder, fs::path(record).parent_path()))
        reason =
            what + "a run must not bring its own code. Name the folder in FOIL_PLUGIN_PATH, or say --trust.";
    }
    if (reason.empty())
      folders.push_back(one.folder);
    else
      refused.push_back({one.folder, one.place + ": " + reason});
  }
  return folders;
}

std::vector<std::string> missing_plugin_folders() {
  std::vector<std::string> missing;
  for (const std::string& folder : folders_of_environment()) {
    if (const std::string reason = no_such_folder(folder); !reason.empty())
      missing.push_back("FOIL_PLUGIN_PATH: " + reason);
  }
  return missing;
}

std::vector<std::string> plugin_folders(const std::vector<std::string>& paths) {
  std::vector<std::string> folders = paths;
  for (const std::string& folder : folders_of_environment()) folders.push_back(folder);
  const fs::path library = library_folder();
  for (const fs::path& folder : {library / "plugins", library / "foil" / "plugins"}) {
    if (fs::is_directory(folder)) folders.push_back(folder.string());
  }
  std::vector<std::string> unique;
  for (const std::string& folder : folders) {
    const std::string path = fs::weakly_canonical(fs::absolute(folder)).string();
    if (std::find(unique.begin(), unique.end(), path) == unique.end()) unique.push_back(path);
  }
  return unique;
}

}  // namespace foil
