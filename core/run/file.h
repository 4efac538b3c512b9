// SPDX-License-Identifier: BSD-3-Clause
// Files that survive a kill or a full disk: whole-file reads, atomic whole-file writes, append-only logs,
// checksums, UTC time. Knows bytes only; formats live beside it.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

namespace foil {

// The whole file; Exit::data when it cannot be read.
std::string read_file(const std::string& path);

// The same for what a run or a study left and may have been damaged or put there since: Exit::data also for
// anything but a regular file, at which a reader could wait for ever, and for one of more than `limit` bytes.
std::string read_record(const std::string& path, int64_t limit = 64'000'000);

// Replaces the file by `bytes`, or leaves it exactly as it was: a temporary file in the same folder (see
// is_temporary) is written, fsynced and renamed, then the folder is fsynced. A failure removes the temporary
// file and throws, naming path, size, free space.
void write_atomically(const std::string& path, std::string_view bytes);

// Whether this is the name of a temporary file of write_atomically; one that outlives its process is rubbish.
bool is_temporary(std::string_view path);

// "crc32:1c291ca3": zlib's CRC-32 of the bytes.
std::string checksum(std::string_view bytes);
bool is_checksum(std::string_view text);

// Bytes that an ordinary user may still write to the file system that holds `path` (or its nearest existing
// parent).
int64_t free_bytes(const std::string& path);

// "45 MB", "1.2 kB", "80 GB": decimal units, two digits below ten.
std::string readable_bytes(int64_t bytes);

// Bytes of memory that this machine has.
int64_t machine_memory();

// Throws (Exit::data), with `place` before the message, when `bytes` are more than the memory of this
// machine. A size that a file or an option claims is looked at here before anything is allocated; a double
// holds any product of such sizes.
void require_memory(const std::string& place, double bytes);

// ISO 8601, "2026-11-21T09:39:00Z".
std::string utc_text(std::time_t time);
std::string utc_now();

// A file that only grows. Each append is one write, so that a killed process loses nothing that was appended;
// an append that fails (a full disk) is taken back before the error is thrown, so that the file never holds
// half a record in its middle.
class AppendFile {
 public:
  explicit AppendFile(const std::string& path);  // created when missing
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;
  void append(std::string_view bytes);
  void flush();  // fsync: also survives a power cut

 private:
  std::string path_;
  int descriptor_;
};

}  // namespace foil
