// SPDX-License-Identifier: BSD-3-Clause
// The entries of a tar archive in their order, and where in it the bytes of each lie. Of what lies there it
// knows nothing. Every failure is an Error (Exit::data) that names the archive.
#pragma once

#include "data/file.h"

#include <memory>
#include <string>

struct archive;

namespace foil {

// Walks the headers only: from one to the next by seeking.
class Tar {
 public:
  // Refuses a compressed archive, in which nothing can be sought.
  explicit Tar(const std::string& path);

  // Goes to the next entry; false behind the last. Throws where the archive is damaged, was cut off or goes
  // on behind its end, and for an entry whose bytes do not lie together.
  bool next();

  // Of the entry at hand.
  const std::string& name() const { return name_; }  // as the archive spells it
  bool is_file() const { return is_file_; }          // no folder, link or device
  bool is_folder() const { return is_folder_; }
  int64_t offset() const { return offset_; }  // of its first byte in the archive
  int64_t size() const { return size_; }      // bytes
  std::string place() const;                  // "ARCHIVE: NAME", fit to be shown

  const OpenFile& file() const { return file_; }

 private:
  void check_end() const;

  std::string path_;
  OpenFile file_;
  std::unique_ptr<archive, int (*)(archive*)> reader_;
  std::string name_;
  bool is_file_ = false, is_folder_ = false;
  int64_t offset_ = 0, size_ = 0;
  int64_t end_ = 0;  // of the last entry, with what fills its last block
};

}  // namespace foil
