// SPDX-License-Identifier: BSD-3-Clause
// Finding and reading files, through zlib where they may be gzip.
#include "data/file.h"

#include "run/file.h"
#include "run/text.h"

#include <foil/error.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>

namespace foil {
namespace fs = std::filesystem;
namespace {

// Also true for what may not be looked at: opening it then says why.
bool may_exist(const fs::path& path) {
  std::error_code ignored;
  return fs::status(path, ignored).type() != fs::file_type::not_found;
}

void require_file(const std::string& path, mode_t mode) {
  if (S_ISDIR(mode)) fail(Exit::data, printable(path), ": cannot be read: Is a directory.");
  if (!S_ISREG(mode))
    fail(Exit::data, printable(path), ": cannot be read: it is no file, but a FIFO, a socket or a device.");
}

// A descriptor for reading. Opening a FIFO that nobody writes to would wait for ever, so it does not wait.
int open_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) fail(Exit::data, printable(path), ": cannot be opened: ", std::strerror(errno), ".");
  try {
    struct stat about {};
    if (::fstat(descriptor, &about) == 0) require_file(path, about.st_mode);
  } catch (const Error&) {
    ::close(descriptor);
    throw;
  }
  return descriptor;
}

}  // namespace

std::string find_folder(const Whereabouts& where, const std::string& path) {
  std::vector<std::string> places;
  const char* root = std::getenv("FOIL_DATA");
  if (!path.empty()) {
    places.push_back(path);
  } else {
    if (root && *root) places.push_back((fs::path(root) / where.folder).string());
    if (!where.system.empty()) places.push_back(where.system);
  }
  std::string looked;
  for (const std::string& place : places) {
    if (may_exist(fs::path(place) / where.probe) || may_exist(fs::path(place) / (where.probe + ".gz")))
      return place;
    looked += (looked.empty() ? " in " : ", ") + place;
  }
  if (path.empty() && !(root && *root))
    looked += (looked.empty() ? ": " : "; ") + std::string("FOIL_DATA is not set");
  fail(Exit::data, where.data_set, ": no ", where.probe, "[.gz]", looked, ". To get it: ", where.how,
       "; or set data.path, or FOIL_DATA to the folder that holds ", where.folder, "/.");
}

std::string plain_or_gz(const std::string& folder, const std::string& name) {
  const std::string plain = (fs::path(folder) / name).string();
  return !may_exist(plain) && may_exist(plain + ".gz") ? plain + ".gz" : plain;
}

ByteReader::ByteReader(std::string path) : path_(std::move(path)), file_(gzdopen(open_file(path_), "rb")) {
  if (!file_) fail(Exit::data, printable(path_), ": cannot be opened: out of memory.");
  gzbuffer(file_, 1 << 18);
}

ByteReader::~ByteReader() { gzclose(file_); }

int64_t ByteReader::read(void* to, int64_t bytes) {
  int64_t done = 0;
  while (done < bytes) {
    const auto want = static_cast<unsigned>(std::min<int64_t>(bytes - done, 1 << 30));
    const int got = gzread(file_, static_cast<char*>(to) + done, want);
    if (got > 0) done += got;
    if (got != static_cast<int>(want)) {
      int code = Z_OK;
      const std::string message = gzerror(file_, &code);  // "<fd:3>: what"
      if (code == Z_ERRNO)
        fail(Exit::data, printable(path_), ": cannot be read: ", std::strerror(errno), ".");
      if (code != Z_OK)
        fail(Exit::data, printable(path_), message.substr(std::min(message.find(": "), message.size())), ".");
      break;
    }
  }
  return done;
}

int64_t file_size(const std::string& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0)
    fail(Exit::data, printable(path), ": cannot be opened: ", std::strerror(errno), ".");
  require_file(path, about.st_mode);
  return static_cast<int64_t>(about.st_size);
}

std::vector<uint8_t> read_bytes(const std::string& path, int64_t most) {
  const OpenFile file(path);
  if (file.size() > most)
    fail(Exit::data, printable(path), ": ", file.size(), " bytes, allowed: at most ", most, ".");
  return file.read(0, file.size());
}

std::vector<uint8_t> read_ends(const std::string& path, int64_t count) {
  const OpenFile file(path);
  return file.read_ends(0, file.size(), count);
}

OpenFile::OpenFile(const std::string& path) : path_(path), descriptor_(open_file(path)) {
  struct stat about {};
  size_ = ::fstat(descriptor_, &about) == 0 ? static_cast<int64_t>(about.st_size) : 0;
}

OpenFile::~OpenFile() { ::close(descriptor_); }

void OpenFile::read_into(uint8_t* to, int64_t offset, int64_t bytes) const {
  for (int64_t done = 0; done < bytes;) {
    const ssize_t got = ::pread(descriptor_, to + done, static_cast<size_t>(bytes - done), offset + done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(Exit::data, printable(path_), ": cannot be read: ", std::strerror(errno), ".");
    if (got == 0)
      fail(Exit::data, printable(path_), ": ends before byte ", offset + done, "; ", bytes - done,
           " more bytes are expected.");
    done += got;
  }
}

std::vector<uint8_t> OpenFile::read(int64_t offset, int64_t bytes) const {
  require_memory(printable(path_), static_cast<double>(bytes));
  std::vector<uint8_t> read(static_cast<size_t>(bytes));
  read_into(read.data(), offset, bytes);
  return read;
}

std::vector<uint8_t> OpenFile::read_ends(int64_t offset, int64_t bytes, int64_t count) const {
  if (bytes <= 2 * count) return read(offset, bytes);
  std::vector<uint8_t> ends(static_cast<size_t>(2 * count));
  read_into(ends.data(), offset, count);
  read_into(ends.data() + count, offset + bytes - count, count);
  return ends;
}

std::vector<std::string> class_names(const std::string& folder, const std::string& name, int64_t count) {
  std::vector<std::string> names;
  const fs::path path = fs::path(folder) / name;
  if (!may_exist(path)) {
    for (int64_t c = 0; c < count; ++c) names.push_back(std::to_string(c));
    return names;
  }
  const std::vector<uint8_t> bytes = read_bytes(path.string(), 1 << 20);
  std::istringstream text(std::string(bytes.begin(), bytes.end()));
  for (std::string line; std::getline(text, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) names.push_back(printable(line));
  }
  if (static_cast<int64_t>(names.size()) != count) {
    fail(Exit::data, printable(path.string()), ": ", names.size(), " class names, expected ", count, ".");
  }
  return names;
}

}  // namespace foil
