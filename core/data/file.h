// SPDX-License-Identifier: BSD-3-Clause
// Files of data sets: where they lie and how their bytes are read. Every failure is an Error (Exit::data)
// that names the file.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace foil {

// What a data set needs to be found by name.
struct Whereabouts {
  std::string data_set;  // as in `name = "..."`
  std::string folder;    // its customary folder under $FOIL_DATA
  std::string probe;     // a file it must hold, plain or .gz
  std::string system;    // where a Debian package installs it; may be empty
  std::string how;       // how to get it
};

// The folder that holds `probe`: `path` when given, else $FOIL_DATA/folder, else `system`. Throws naming
// every place looked at.
std::string find_folder(const Whereabouts& where, const std::string& path);

// folder/name, or folder/name.gz where only that exists.
std::string plain_or_gz(const std::string& folder, const std::string& name);

// The bytes of a file from its beginning, decompressed when it is gzip.
class ByteReader {
 public:
  explicit ByteReader(std::string path);
  ~ByteReader();
  ByteReader(const ByteReader&) = delete;
  ByteReader& operator=(const ByteReader&) = delete;
  // Reads `bytes`, or fewer at the end of the file; returns how many. Throws with zlib's message on a damaged
  // or truncated stream.
  int64_t read(void* to, int64_t bytes);
  bool compressed() const { return gzdirect(file_) == 0; }  // after the first read
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  gzFile file_;
};

// Size in bytes of the file as it lies on the disk. Throws for what is no file: a folder, a FIFO, a device.
int64_t file_size(const std::string& path);

// The whole file as it lies on the disk; throws when that is more than `most` bytes.
std::vector<uint8_t> read_bytes(const std::string& path, int64_t most = std::numeric_limits<int64_t>::max());

// Its first and its last `count` bytes; all of a file of no more than both.
std::vector<uint8_t> read_ends(const std::string& path, int64_t count);

// A file as it lies on the disk, open for reads at any place of it, from several threads at once.
class OpenFile {
 public:
  explicit OpenFile(const std::string& path);
  ~OpenFile();
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int64_t size() const { return size_; }  // bytes
  int descriptor() const { return descriptor_; }
  // Throws where the file ends before that.
  std::vector<uint8_t> read(int64_t offset, int64_t bytes) const;
  // The first and the last `count` of these bytes; all where they are no more than both.
  std::vector<uint8_t> read_ends(int64_t offset, int64_t bytes, int64_t count) const;

 private:
  void read_into(uint8_t* to, int64_t offset, int64_t bytes) const;
  std::string path_;
  int descriptor_;
  int64_t size_;
};

// The lines of folder/name that are not empty: class names; "0", "1", ... where there is no such file. Throws
// unless `count` lines.
std::vector<std::string> class_names(const std::string& folder, const std::string& name, int64_t count);

}  // namespace foil
