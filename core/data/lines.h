// SPDX-License-Identifier: BSD-3-Clause
// A text file read line by line, plain or gzip: UTF-8, lines of bounded length. Knows nothing of what stands
// in a line.
#pragma once

#include "data/file.h"

#include <string_view>

namespace foil {

class Lines {
 public:
  static constexpr int64_t kLongest = int64_t{1} << 24;  // bytes of a line

  explicit Lines(std::string path) : file_(std::move(path)), buffer_(size_t{1} << 16, '\0') {}

  // The next line into `line`, without its LF or CR LF, and without a byte order mark; false at the end.
  // Throws Error (Exit::data) with place() for one that is longer than kLongest, or not UTF-8.
  bool next(std::string& line);

  int64_t number() const { return number_; }  // of that line, from 1 on
  std::string place() const;                  // "FILE:12"
  const std::string& path() const { return file_.path(); }

 private:
  ByteReader file_;
  std::string buffer_;
  size_t at_ = 0, end_ = 0;  // what of the buffer is not yet given out
  int64_t number_ = 0;
};

// Throws Error (Exit::data) with the place where a text, called `what`, is not UTF-8, naming the byte.
void require_utf8(std::string_view text, const std::string& place, const char* what);

// A text from a file as a message quotes it: 'printable', cut when it is long.
std::string in_quotes(std::string_view text);

// The longest beginning of UTF-8 of at most `most` bytes that cuts no character.
std::string_view whole_characters(std::string_view text, int64_t most);

}  // namespace foil
