// SPDX-License-Identifier: BSD-3-Clause
#include "loader.h"

#include <foil/abi.h>

#include <boost/dll/shared_library.hpp>
#include <dlfcn.h>
#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
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

// Notes are found through the program headers, which strip keeps; section headers may be gone, but not point past the end.
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
  if (header.e_shoff > bytes.size() || bytes.size() - header.e_shoff < uint64_t{header.e_shnum} * header.e_shentsize)
    fail(Exit::plugin, file, ": damaged: it ends before its own headers say.");
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
  boost::dll::shared_library* library = nullptr;
  void (*enter)(Plugin&) = nullptr;
  std::string about;
  try {
    // rtld_now: a missing symbol shows here, not at the first step. The handle is leaked: no object may outlive its code.
    library = new boost::dll::shared_library(fs::absolute(file).string(),
                                             boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
    enter = &library->get<void(Plugin&)>("foil_plugin");
    if (library->has("foil_plugin_about")) about = &library->get<const char>("foil_plugin_about");
  } catch (const std::exception& error) {
    fail(Exit::plugin, file, ": could not be loaded: ", error.what(), ".");
  }
  std::string thrown;
  try {
    return registry.enter(
        file,
        [&](Plugin& plugin) {
          try {
            enter(plugin);
          } catch (const std::exception& error) {
            thrown = error.what();
            throw;
          } catch (...) {
            thrown = "an exception that is no std::exception";
            throw;
          }
        },
        about);
  } catch (...) {
    if (thrown.empty()) throw;
  }
  fail(Exit::plugin, file, ": its registration threw: ", thrown, ".");
}

namespace {

char crash_message[4096];
size_t crash_size = 0;

// While plugins are loaded, a crash says whose it is. Only async-signal-safe calls.
void on_crash(int) {
  if (::write(STDERR_FILENO, crash_message, crash_size) < 0) {
  }
  ::_exit(static_cast<int>(Exit::plugin));
}

class CrashNote {
 public:
  CrashNote() {
    struct sigaction action {};
    action.sa_handler = on_crash;
    for (size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &action, &before_[i]);
  }
  ~CrashNote() {
    for (size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &before_[i], nullptr);
  }
  void now(const std::string& file) {
    const std::string text = file + ": crashed while it was loaded. Remove it or rebuild it; foil plugins lists all.\n";
    crash_size = std::min(text.size(), sizeof crash_message);
    std::memcpy(crash_message, text.data(), crash_size);
  }

 private:
  static constexpr std::array<int, 5> signals{SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
  std::array<struct sigaction, 5> before_{};
};

}  // namespace

std::vector<std::string> plugin_files(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == ".so") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<Refused> load_plugins(const std::vector<std::string>& folders, Registry& registry, bool trust) {
  std::vector<Refused> refused;
  CrashNote crash;
  for (const std::string& folder : folders) {
    for (const std::string& file : plugin_files(folder)) {
      if (registry.knows(file)) continue;
      crash.now(file);
      try {
        load_plugin(file, registry, trust);
      } catch (const std::exception& error) {
        refused.push_back({file, error.what()});
      }
    }
  }
  return refused;
}

std::string library_folder() {
  Dl_info info{};
  if (!::dladdr(reinterpret_cast<const void*>(&library_folder), &info) || !info.dli_fname)
    fail(Exit::failure, "libfoil.so does not know where it is: ", ::dlerror());
  return fs::weakly_canonical(info.dli_fname).parent_path().string();
}

std::vector<std::string> plugin_folders(const std::vector<std::string>& paths) {
  std::vector<std::string> folders = paths;
  if (const char* listed = std::getenv("FOIL_PLUGIN_PATH")) {
    std::istringstream list(listed);
    for (std::string folder; std::getline(list, folder, ':');) {
      if (!folder.empty()) folders.push_back(folder);
    }
  }
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
