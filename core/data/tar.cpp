// SPDX-License-Identifier: BSD-3-Clause
// Headers by libarchive, which knows the many ways to write a long name or a large size; only this file sees
// it. What it lets pass, an archive that was cut off at the end of an entry, is looked for here.
#include "data/tar.h"

#include "run/text.h"

#include <foil/error.h>

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <array>

namespace foil {
namespace {

constexpr int64_t kBlock = 512;  // of the format
constexpr size_t kReadAtOnce =
    4096;  // bytes; less than most pictures, so that they are passed over by seeking

// How files that are compressed begin, and what unpacks them.
struct Packing {
  std::string_view begin, name, unpack;
};
constexpr std::array<Packing, 4> kPackings = {{{"\x1f\x8b", "gzip", "gunzip"},
                                               {"\x28\xb5\x2f\xfd", "zstd", "unzstd"},
                                               {"\xfd\x37\x7a\x58\x5a", "xz", "unxz"},
                                               {"BZh", "bzip2", "bunzip2"}}};

}  // namespace

Tar::Tar(const std::string& path) : path_(path), file_(path), reader_(archive_read_new(), archive_read_free) {
  const std::vector<uint8_t> head = file_.read(0, std::min(file_.size(), kBlock));
  const std::string_view begin(reinterpret_cast<const char*>(head.data()), head.size());
  for (const Packing& packing : kPackings)
    if (begin.starts_with(packing.begin))
      fail(Exit::data, printable(path_), ": is compressed (", packing.name,
           "), and a sample is read where it lies; unpack it first (", packing.unpack, ").");
  if (!reader_) fail(Exit::data, printable(path_), ": cannot be opened: out of memory.");
  archive_read_support_format_tar(reader_.get());
  if (archive_read_open_fd(reader_.get(), file_.descriptor(), kReadAtOnce) != ARCHIVE_OK)
    fail(Exit::data, printable(path_), ": is no tar archive: ", archive_error_string(reader_.get()), ".");
}

bool Tar::next() {
  archive_entry* entry = nullptr;
  const int result = archive_read_next_header(reader_.get(), &entry);
  if (result == ARCHIVE_EOF) {
    check_end();
    return false;
  }
  if (result != ARCHIVE_OK && result != ARCHIVE_WARN) {  // a warning is of owners and times
    const char* words = archive_error_string(reader_.get());
    fail(Exit::data, printable(path_), ": broken tar archive",
         name_.empty() ? "" : " behind " + printable(name_), ": ",
         words ? printable(words) : "no reason is known", ".");
  }
  const char* name = archive_entry_pathname_utf8(entry);  // null where the locale has no word for it
  if (!name) name = archive_entry_pathname(entry);
  name_ = name ? name : "";
  is_file_ = archive_entry_filetype(entry) == AE_IFREG && !archive_entry_hardlink(entry);
  is_folder_ = archive_entry_filetype(entry) == AE_IFDIR;
  offset_ = archive_filter_bytes(reader_.get(), 0);
  size_ = archive_entry_size(entry);
  if (archive_entry_sparse_reset(entry) > 0)
    fail(Exit::data, place(),
         ": is sparse, so that its bytes do not lie together. Pack it without --sparse.");
  if (size_ < 0 || size_ > file_.size() - offset_)
    fail(Exit::data, place(), ": has ", size_, " bytes from byte ", offset_,
         " on, but the archive ends at byte ", file_.size(), ": it was cut off.");
  end_ = offset_ + (size_ + kBlock - 1) / kBlock * kBlock;
  return true;
}

// A whole archive ends in two empty blocks, and mere zeros follow.
void Tar::check_end() const {
  constexpr int64_t kChunk = 1 << 20;
  for (int64_t at = end_; at < file_.size(); at += kChunk) {
    const std::vector<uint8_t> rest = file_.read(at, std::min(kChunk, file_.size() - at));
    const auto there = std::find_if(rest.begin(), rest.end(), [](uint8_t byte) { return byte != 0; });
    if (there != rest.end())
      fail(Exit::data, printable(path_), ": goes on behind its end, at byte ", at + (there - rest.begin()),
           ": two archives in one file are not read.");
  }
  if (file_.size() - end_ < 2 * kBlock)
    fail(Exit::data, printable(path_), ": ends without the two empty blocks of a whole archive",
         end_ > 0 ? ", behind " + printable(name_) : "", ": it was cut off, or is still being written.");
}

std::string Tar::place() const { return printable(path_) + ": " + printable(name_); }

}  // namespace foil
