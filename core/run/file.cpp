// SPDX-License-Identifier: BSD-3-Clause
// Whole-file reads, atomic writes and append-only logs on POSIX calls, every one of them checked.
#include "run/file.h"

#include "run/temporary.h"

#include <foil/error.h>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>

namespace foil {
namespace {

constexpr std::string_view kTemporary = ".tmp";

// Zero, or the errno of the first write that failed.
int write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

[[noreturn]] void fail_to_write(const std::string& path, size_t bytes, int error) {
  fail(Exit::failure, path, ": cannot write ", readable_bytes(static_cast<int64_t>(bytes)),
       " (free: ", readable_bytes(free_bytes(path)), "): ", std::strerror(error));
}

// Makes a rename in this folder last. File systems that cannot sync a folder say EINVAL, and nothing more can
// be done there.
int sync_folder(const std::filesystem::path& folder) {
  const int descriptor = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return errno;
  const int error = ::fsync(descriptor) < 0 && errno != EINVAL ? errno : 0;
  ::close(descriptor);
  return error;
}

}  // namespace

std::string read_file(const std::string& path) {
  struct Descriptor {
    const int number;
    ~Descriptor() { ::close(number); }
  } const file{
      ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};  // so that a FIFO without a writer opens too
  if (file.number < 0) fail(Exit::data, path, ": cannot read: ", std::strerror(errno));
  struct stat about {};
  ::fstat(file.number, &about);
  const bool piped = S_ISFIFO(about.st_mode) && path.starts_with("/dev/");  // by the shell: it has a writer
  if (!S_ISREG(about.st_mode) && !S_ISDIR(about.st_mode) && !piped) {
    fail(Exit::data, path, ": cannot read: it is no file, but a FIFO, a socket or a device");
  }
  ::fcntl(file.number, F_SETFL, O_RDONLY);
  require_memory(path, static_cast<double>(about.st_size));
  std::string bytes(S_ISREG(about.st_mode) ? static_cast<size_t>(about.st_size) : 0, '\0');
  size_t filled = 0;
  for (;;) {  // to the end, whatever fstat said: a file in /proc says 0, a log may have grown
    if (filled == bytes.size()) bytes.resize(filled + 4096);
    const ssize_t got = ::read(file.number, bytes.data() + filled, bytes.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(Exit::data, path, ": cannot read: ", std::strerror(errno));
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  bytes.resize(filled);
  return bytes;
}

std::string read_record(const std::string& path, int64_t limit) {
  struct stat about {};
  if (::stat(path.c_str(), &about) < 0) fail(Exit::data, path, ": cannot read: ", std::strerror(errno));
  if (!S_ISREG(about.st_mode)) fail(Exit::data, path, ": is not a regular file");
  if (about.st_size > limit) {
    fail(Exit::data, path, ": ", readable_bytes(about.st_size), ", allowed: at most ", readable_bytes(limit));
  }
  return read_file(path);
}

Temporary create_temporary(const std::string& path, size_t bytes) {
  for (int i = 0;; ++i) {
    uint64_t random = 0;
    if (::getrandom(&random, sizeof random, 0) != sizeof random) fail_to_write(path, bytes, errno);
    const std::string name = fmt::format("{}.{:016x}{}", path, random, kTemporary);
    const int descriptor = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (descriptor >= 0) return {name, descriptor};
    if (errno != EEXIST || i == 100) fail_to_write(path, bytes, errno);
  }
}

void write_atomically(const std::string& path, std::string_view bytes) {
  const auto [temporary, descriptor] = create_temporary(path, bytes.size());
  int error = write_all(descriptor, bytes);
  if (!error && ::fsync(descriptor) < 0) error = errno;
  if (::close(descriptor) < 0 && !error) error = errno;
  if (!error && ::rename(temporary.c_str(), path.c_str()) < 0) error = errno;
  if (error) {
    ::unlink(temporary.c_str());
    fail_to_write(path, bytes.size(), error);
  }
  error = sync_folder(std::filesystem::path(path).parent_path());
  if (error) fail_to_write(path, bytes.size(), error);
}

bool is_temporary(std::string_view path) { return path.ends_with(kTemporary); }

bool is_checksum(std::string_view text) { return text.size() == 14 && text.starts_with("crc32:"); }

std::string checksum(std::string_view bytes) {
  return fmt::format("crc32:{:08x}", crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

int64_t free_bytes(const std::string& path) {
  std::error_code ignored;
  std::filesystem::path place = std::filesystem::absolute(path, ignored);
  while (!std::filesystem::exists(place, ignored) && place.has_relative_path()) place = place.parent_path();
  struct statvfs about {};
  if (::statvfs(place.c_str(), &about) < 0) return 0;
  return static_cast<int64_t>(about.f_bavail) * static_cast<int64_t>(about.f_frsize);
}

std::string readable_bytes(int64_t bytes) {
  if (bytes < 1000) return fmt::format("{} bytes", bytes);
  double value = static_cast<double>(bytes);
  const char* unit = "";
  for (const char* larger : {"kB", "MB", "GB", "TB", "PB", "EB"}) {
    if (value < 999.5) break;
    value /= 1000;
    unit = larger;
  }
  return value < 9.95 ? fmt::format("{:.1f} {}", value, unit) : fmt::format("{:.0f} {}", value, unit);
}

int64_t machine_memory() {
  return static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGE_SIZE);
}

void require_memory(const std::string& place, double bytes) {
  const double memory = static_cast<double>(machine_memory());
  if (bytes <= memory) return;
  const auto readable = [](double size) {
    return readable_bytes(static_cast<int64_t>(std::min(size, 9e18)));
  };
  fail(Exit::data, place, ": ", readable(bytes), " are needed, this machine has ", readable(memory),
       " of memory.");
}

std::string utc_text(std::time_t time) {
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  char text[64];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::string utc_now() { return utc_text(std::time(nullptr)); }

AppendFile::AppendFile(const std::string& path)
    : path_(path),
      descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666)) {
  if (descriptor_ < 0) fail_to_write(path_, 0, errno);
}

AppendFile::~AppendFile() { ::close(descriptor_); }

void AppendFile::append(std::string_view bytes) {
  const off_t end = ::lseek(descriptor_, 0, SEEK_END);
  const int error = write_all(descriptor_, bytes);
  if (!error) return;
  if (end < 0 || ::ftruncate(descriptor_, end) < 0) {
    fail(Exit::failure, path_, ": half a record was written: ", std::strerror(error));
  }
  fail_to_write(path_, bytes.size(), error);
}

void AppendFile::flush() {
  if (::fsync(descriptor_) < 0) fail_to_write(path_, 0, errno);
}

}  // namespace foil
