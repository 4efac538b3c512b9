// SPDX-License-Identifier: BSD-3-Clause
#include "loader.h"

#include <foil/abi.h>

#include <boost/dll/shared_library.hpp>
#include <elf.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace foil {
namespace {

namespace fs = std::filesystem;

std::string read_all(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) fail(Exit::plugin, file, ": cannot be read: ", std::strerror(errno), ".");
  return {std::istreambuf_iterator<char>(in), {}};
}

// A struct of the file at `offset`, or a refusal where the file ends before it.
template <class T>
T at(const std::string& file, const std::string& bytes, uint64_t offset) {
  T value;
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T))
    fail(Exit::plugin, file, ": damaged: it ends before its own headers say.");
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

// The description of the first note named "foil" in bytes[offset, offset + size); empty when there is none.
std::string find_note(const std::string& file, const std::string& bytes, uint64_t offset, uint64_t size) {
  if (offset > bytes.size() || bytes.size() - offset < size)
    fail(Exit::plugin, file, ": damaged: it ends before its own headers say.");
  const uint64_t end = offset + size;
  while (offset + sizeof(Elf64_Nhdr) <= end) {
    const auto note = at<Elf64_Nhdr>(file, bytes, offset);
    const uint64_t name = offset + sizeof note, description = name + ((note.n_namesz + 3ull) & ~3ull);
    const uint64_t next = description + ((note.n_descsz + 3ull) & ~3ull);
    if (next > end) break;
    if (note.n_namesz >= 5 && std::memcmp(bytes.data() + name, "foil", 5) == 0) {
      const std::string text = bytes.substr(description, note.n_descsz);
      return text.substr(0, text.find('\0'));
    }
    offset = next;
  }
  return {};
}

}  // namespace

const char* program_abi() { return FOIL_ABI; }

// Notes are found through the program headers, which strip keeps; section headers may be gone.
std::string plugin_abi(const std::string& file) {
  if (!fs::exists(file)) {
    std::vector<std::string> beside;
    std::error_code ignored;
    for (const auto& entry :
         fs::directory_iterator(fs::path(file).parent_path().empty() ? "." : fs::path(file).parent_path(), ignored)) {
      if (entry.path().extension() == ".so") beside.push_back(entry.path().filename().string());
    }
    std::sort(beside.begin(), beside.end());
    fail(Exit::plugin, file, ": does not exist.", known_names("plugins there", fs::path(file).filename().string(), beside));
  }
  const std::string bytes = read_all(file);
  if (bytes.size() < SELFMAG || std::memcmp(bytes.data(), ELFMAG, SELFMAG) != 0)
    fail(Exit::plugin, file, ": is not a shared library (no ELF header).");
  const auto header = at<Elf64_Ehdr>(file, bytes, 0);
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_type != ET_DYN || header.e_phentsize != sizeof(Elf64_Phdr)) {
    fail(Exit::plugin, file, ": is not a 64-bit shared library.");
  }
  std::string text;
  for (int i = 0; i < header.e_phnum; ++i) {
    const auto segment = at<Elf64_Phdr>(file, bytes, header.e_phoff + static_cast<uint64_t>(i) * sizeof(Elf64_Phdr));
    if (segment.p_offset > bytes.size() || bytes.size() - segment.p_offset < segment.p_filesz) {
      fail(Exit::plugin, file, ": damaged: it ends before its own headers say.");
    }
    if (segment.p_type == PT_NOTE && text.empty()) text = find_note(file, bytes, segment.p_offset, segment.p_filesz);
  }
  if (text.empty()) fail(Exit::plugin, file, ": is a shared library but not a foil plugin (no FOIL_PLUGIN in it).");
  return text;
}

void load_plugin(const std::string& file, Registry& registry, bool trust) {
  const std::string built_for = plugin_abi(file);
  if (built_for != program_abi()) {
    fail(Exit::plugin, file, ": built for [", built_for, "], this program is [", program_abi(),
         "]. Rebuild: cmake --build its build folder, against this foil.");
  }
  struct stat status {};
  if (::stat(file.c_str(), &status) == 0 && (status.st_mode & S_IWOTH) && !trust) {
    fail(Exit::plugin, file, ": others may write this file. chmod o-w it, or say --trust.");
  }
  try {
    // rtld_now: a missing symbol shows here, not at the first step. The handle is leaked: no object may outlive its code.
    auto* library = new boost::dll::shared_library(file, boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
    registry.enter(file, library->get<void(Plugin&)>("foil_plugin"));
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    fail(Exit::plugin, file, ": could not be loaded: ", error.what());
  }
}

std::vector<Refused> load_plugins(const std::vector<std::string>& folders, Registry& registry, bool trust) {
  std::vector<Refused> refused;
  for (const std::string& folder : folders) {
    std::vector<std::string> files;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
      if (entry.path().extension() == ".so") files.push_back(entry.path().string());
    }
    std::sort(files.begin(), files.end());
    for (const std::string& file : files) {
      try {
        load_plugin(file, registry, trust);
      } catch (const std::exception& error) {
        refused.push_back({file, error.what()});
      }
    }
  }
  return refused;
}

std::vector<std::string> plugin_folders(const std::vector<std::string>& paths) {
  std::vector<std::string> folders = paths;
  if (const char* listed = std::getenv("FOIL_PLUGIN_PATH")) {
    std::istringstream list(listed);
    for (std::string folder; std::getline(list, folder, ':');) {
      if (!folder.empty()) folders.push_back(folder);
    }
  }
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  for (const fs::path& folder : {program / "plugins", program / ".." / "plugins", program / ".." / "lib" / "foil" / "plugins"}) {
    if (fs::is_directory(folder)) folders.push_back(fs::weakly_canonical(folder).string());
  }
  std::vector<std::string> unique;
  for (const std::string& folder : folders) {
    if (std::find(unique.begin(), unique.end(), folder) == unique.end()) unique.push_back(folder);
  }
  return unique;
}

}  // namespace foil
