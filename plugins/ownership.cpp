// SPDX-License-Identifier: BSD-3-Clause
// Walks the path as the system does, link by link: a file can be exchanged at each folder and link on the
// way.
#include "ownership.h"

#include "loader.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <fstream>

namespace foil {
namespace {

namespace fs = std::filesystem;

std::string name_of(uid_t user) {
  const passwd* entry = ::getpwuid(user);
  return std::to_string(user) + (entry ? std::string(" (") + entry->pw_name + ")" : "");
}

// A container may know only some of the host's users. All others, root among them, are then shown as one: the
// overflow user.
bool stands_for_root(uid_t user) {
  uint64_t inside = 0, outside = 0, count = 0;
  std::ifstream("/proc/self/uid_map") >> inside >> outside >> count;
  uid_t overflow = 0;
  return count < 0xffffffffu && count > 0 && std::ifstream("/proc/sys/kernel/overflowuid") >> overflow &&
         user == overflow;
}

// Whoever installed this program, though not root, is trusted already: its code is what runs.
bool owns_this_program(uid_t user) {
  struct stat status {};
  return ::stat((library_folder() + "/libfoil.so").c_str(), &status) == 0 && status.st_uid == user;
}

bool is_ours(uid_t user) {
  return user == 0 || user == ::geteuid() || owns_this_program(user) || stands_for_root(user);
}

// Many systems give each user a group of the user's name that nobody else is in.
bool is_own_group(gid_t group) {
  if (::geteuid() == 0) return false;
  const passwd* user = ::getpwuid(::geteuid());
  if (!user || user->pw_gid != group) return false;
  const std::string name = user->pw_name;
  const struct group* entry = ::getgrgid(group);
  if (!entry || entry->gr_name != name) return false;
  for (char** member = entry->gr_mem; *member; ++member) {
    if (*member != name) return false;
  }
  return true;
}

// Who else may change `what` by writing to it, and what to do; empty for nobody.
std::string writers(const struct stat& status, const std::string& what) {
  if (!is_ours(status.st_uid))
    return what + " belongs to the user " + name_of(status.st_uid) + ". chown it, or say --trust.";
  if (status.st_mode & S_IWOTH) return "others may write " + what + ". chmod o-w it, or say --trust.";
  if ((status.st_mode & S_IWGRP) && !is_own_group(status.st_gid)) {
    const struct group* entry = ::getgrgid(status.st_gid);
    return "the group " + (entry ? std::string(entry->gr_name) : std::to_string(status.st_gid)) +
           " may write " + what + ". chmod g-w it, or say --trust.";
  }
  return "";
}

// The folders that hold libfoil.so.
bool holds_this_program(const fs::path& folder) {
  static const fs::path program = library_folder();
  const auto [end, ignored] = std::mismatch(folder.begin(), folder.end(), program.begin(), program.end());
  return end == folder.end();
}

}  // namespace

std::string who_else_may_change(const std::string& file) {
  std::deque<fs::path> left;
  const auto prepend = [&](const fs::path& path) {
    const fs::path relative = path.relative_path();
    left.insert(left.begin(), relative.begin(), relative.end());
  };
  prepend(fs::absolute(file));
  fs::path here = "/";
  bool sticky = false;  // the folder `here` may be written by others, who cannot replace what is not theirs
  for (int links = 0; !left.empty() && links < 40;) {
    const fs::path name = left.front(), path = here / name;
    left.pop_front();
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      here = here.parent_path();
      continue;
    }
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return "";  // whoever opens it says so
    if (S_ISLNK(status.st_mode)) {
      if (sticky && !is_ours(status.st_uid)) return writers(status, "the link " + path.string());
      const fs::path target = fs::read_symlink(path);
      if (target.is_absolute()) here = "/";
      prepend(target);
      ++links;
      continue;
    }
    sticky = S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX);
    if (S_ISDIR(status.st_mode)) {
      if (sticky) status.st_mode &= ~static_cast<mode_t>(S_IWOTH | S_IWGRP);
      const std::string found =
          holds_this_program(path) ? "" : writers(status, "its folder " + path.string());
      if (!found.empty()) return found;
    } else if (const std::string found = writers(status, "this file"); !found.empty()) {
      return found;
    }
    here = path;
  }
  return "";
}

}  // namespace foil
