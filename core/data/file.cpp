// SPDX-License-Identifier: BSD-3-Clause
// Finding and reading files, through zlib where they may be gzip.
#include "data/file.h"

#include <foil/error.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

namespace foil {
namespace fs = std::filesystem;
namespace {

// Also true for what may not be looked at: opening it then says why.
bool may_exist(const fs::path& path) {
  std::error_code ignored;
  return fs::status(path, ignored).type() != fs::file_type::not_found;
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
    if (may_exist(fs::path(place) / where.probe) || may_exist(fs::path(place) / (where.probe + ".gz"))) return place;
    looked += (looked.empty() ? " in " : ", ") + place;
  }
  if (path.empty() && !(root && *root)) looked += (looked.empty() ? ": " : "; ") + std::string("FOIL_DATA is not set");
  fail(Exit::data, where.data_set, ": no ", where.probe, "[.gz]", looked, ". To get it: ", where.how,
       "; or set data.path, or FOIL_DATA to the folder that holds ", where.folder, "/.");
}

std::string plain_or_gz(const std::string& folder, const std::string& name) {
  const std::string plain = (fs::path(folder) / name).string();
  return !may_exist(plain) && may_exist(plain + ".gz") ? plain + ".gz" : plain;
}

ByteReader::ByteReader(std::string path) : path_(std::move(path)), file_(gzopen(path_.c_str(), "rb")) {
  if (!file_) fail(Exit::data, path_, ": cannot be opened: ", std::strerror(errno), ".");
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
      const char* message = gzerror(file_, &code);  // starts with the path
      if (code != Z_OK) fail(Exit::data, code == Z_ERRNO ? path_ + ": cannot be read: " + std::strerror(errno) : message, ".");
      break;
    }
  }
  return done;
}

int64_t file_size(const std::string& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (error) fail(Exit::data, path, ": cannot be opened: ", error.message(), ".");
  return static_cast<int64_t>(size);
}

std::vector<uint8_t> read_bytes(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file) fail(Exit::data, path, ": cannot be opened: ", std::strerror(errno), ".");
  std::vector<uint8_t> bytes(static_cast<size_t>(file_size(path)));
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file.get()));
  if (std::ferror(file.get())) fail(Exit::data, path, ": cannot be read: ", std::strerror(errno), ".");
  return bytes;
}

std::vector<std::string> class_names(const std::string& folder, const std::string& name, int64_t count) {
  std::vector<std::string> names;
  const fs::path path = fs::path(folder) / name;
  if (!may_exist(path)) {
    for (int64_t c = 0; c < count; ++c) names.push_back(std::to_string(c));
    return names;
  }
  std::ifstream file(path);
  if (!file) fail(Exit::data, path.string(), ": cannot be opened: ", std::strerror(errno), ".");
  for (std::string line; std::getline(file, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) names.push_back(line);
  }
  if (static_cast<int64_t>(names.size()) != count) {
    fail(Exit::data, path.string(), ": ", names.size(), " class names, expected ", count, ".");
  }
  return names;
}

}  // namespace foil
