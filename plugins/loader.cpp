// SPDX-License-Identifier: BSD-3-Clause
// The file says what a library is and what it was built for; ownership.h says who may have changed it. Only
// then it is loaded.
#include "loader.h"

#include "name_taken.h"
#include "ownership.h"

#include <foil/abi.h>

#include <boost/dll/shared_library.hpp>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <vector>

namespace foil {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void damaged(const std::string& file) {
  fail(Exit::plugin, file, ": damaged: it ends before its own headers say.");
}

// A regular file, open for reading parts of it. No memory is taken for a part that the file is too short
// for.
class Reader {
 public:
  explicit Reader(const std::string& file)
      : file_(file), descriptor_(::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)) {
    if (descriptor_ < 0) fail(Exit::plugin, file, ": cannot be read: ", std::strerror(errno), ".");
    struct stat status {};
    const bool known = ::fstat(descriptor_, &status) == 0;
    if (!known || !S_ISREG(status.st_mode)) {
      ::close(descriptor_);
      fail(Exit::plugin, file, ": is ", S_ISDIR(status.st_mode) ? "a folder" : "no regular file",
           ", allowed: a shared library.");
    }
    size_ = static_cast<uint64_t>(status.st_size);
  }
  ~Reader() { ::close(descriptor_); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  uint64_t size() const { return size_; }
  // Bytes [offset, offset + size), or a refusal where the file ends before.
  std::string bytes(uint64_t offset, uint64_t size) const {
    if (offset > size_ || size_ - offset < size) damaged(file_);
    std::string text(size, '\0');
    if (::pread(descriptor_, text.data(), size, static_cast<off_t>(offset)) != static_cast<ssize_t>(size))
      damaged(file_);
    return text;
  }
  // A struct of the file.
  template <class T>
  T at(uint64_t offset) const {
    T value;
    std::memcpy(&value, bytes(offset, sizeof(T)).data(), sizeof(T));
    return value;
  }

 private:
  std::string file_;
  int descriptor_;
  uint64_t size_ = 0;
};

// The description of the first note named "foil" in [offset, offset + size); empty when there is none.
std::string find_note(const Reader& file, uint64_t offset, uint64_t size) {
  const uint64_t end = offset + size;
  while (offset + sizeof(Elf64_Nhdr) <= end) {
    const auto note = file.at<Elf64_Nhdr>(offset);
    const uint64_t name = offset + sizeof note, description = name + ((note.n_namesz + 3ull) & ~3ull);
    const uint64_t next = description + ((note.n_descsz + 3ull) & ~3ull);
    if (next > end) break;
    if (note.n_namesz >= 5 && file.bytes(name, 5) == std::string("foil", 5)) {
      const std::string text = file.bytes(description, std::min<uint64_t>(note.n_descsz, 4096));
      return text.substr(0, text.find('\0'));
    }
    offset = next;
  }
  return {};
}

}  // namespace

const char* program_abi() { return FOIL_ABI; }

// Notes are found through the program headers, which strip keeps; section headers may be gone, but not point
// past the end.
std::string plugin_abi(const std::string& file) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) {
    std::vector<std::string> beside;
    for (const auto& entry : fs::directory_iterator(
             fs::path(file).parent_path().empty() ? "." : fs::path(file).parent_path(), ignored)) {
      if (entry.path().extension() == ".so") beside.push_back(entry.path().filename().string());
    }
    std::sort(beside.begin(), beside.end());
    fail(Exit::plugin, file, ": does not exist.",
         known_names("plugins there", fs::path(file).filename().string(), beside));
  }
  const Reader bytes(file);
  if (bytes.size() < SELFMAG || bytes.bytes(0, SELFMAG) != ELFMAG)
    fail(Exit::plugin, file, ": is not a shared library (no ELF header).");
  const auto header = bytes.at<Elf64_Ehdr>(0);
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_type != ET_DYN ||
      header.e_phentsize != sizeof(Elf64_Phdr)) {
    fail(Exit::plugin, file, ": is not a 64-bit shared library.");
  }
  if (header.e_shoff > bytes.size() ||
      bytes.size() - header.e_shoff < uint64_t{header.e_shnum} * header.e_shentsize)
    damaged(file);
  std::string text;
  for (int i = 0; i < header.e_phnum; ++i) {
    const auto segment = bytes.at<Elf64_Phdr>(header.e_phoff + static_cast<uint64_t>(i) * sizeof(Elf64_Phdr));
    if (segment.p_offset > bytes.size() || bytes.size() - segment.p_offset < segment.p_filesz) damaged(file);
    if (segment.p_type == PT_NOTE && text.empty())
      text = find_note(bytes, segment.p_offset, segment.p_filesz);
  }
  if (text.empty())
    fail(Exit::plugin, file, ": is a shared library but not a foil plugin (no FOIL_PLUGIN in it).");
  return text;
}

void load_plugin(const std::string& file, Registry& registry, bool trust) {
  const std::string built_for = plugin_abi(file);
  if (built_for != program_abi()) {
    fail(Exit::plugin, file, ": built for [", built_for, "], this program is [", program_abi(),
         "]. Rebuild: cmake --build its build folder, against this foil.");
  }
  if (const std::string who = trust ? "" : who_else_may_change(file); !who.empty())
    fail(Exit::plugin, file, ": ", who);
  boost::dll::shared_library* library = nullptr;
  void (*enter)(Plugin&) = nullptr;
  std::string about;
  try {
    // rtld_now: a missing symbol shows here, not at the first step. The handle is leaked: no object may
    // outlive its code.
    library = new boost::dll::shared_library(
        fs::absolute(file).string(), boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
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

// The handler has a stack of its own: the plugin may have used up the other.
class CrashNote {
 public:
  CrashNote() : stack_(1 << 16) {
    stack_t own{};
    own.ss_sp = stack_.data();
    own.ss_size = stack_.size();
    ::sigaltstack(&own, &stack_before_);
    struct sigaction action {};
    action.sa_handler = on_crash;
    action.sa_flags = SA_ONSTACK;
    for (size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &action, &before_[i]);
  }
  ~CrashNote() {
    for (size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &before_[i], nullptr);
    ::sigaltstack(&stack_before_, nullptr);
  }
  void now(const std::string& file) {
    const std::string text =
        file + ": crashed while it was loaded. Remove it or rebuild it; foil plugins lists all.\n";
    crash_size = std::min(text.size(), sizeof crash_message);
    std::memcpy(crash_message, text.data(), crash_size);
  }

 private:
  static constexpr std::array<int, 5> signals{SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
  std::vector<char> stack_;
  stack_t stack_before_{};
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
      } catch (const NameTaken& error) {
        refused.push_back({file, error.what(), true});
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

}  // namespace foil
