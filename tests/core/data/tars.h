// SPDX-License-Identifier: BSD-3-Clause
// Tar shards made byte by byte (POSIX ustar), for the tests of their reader.
#pragma once

#include "files.h"

#include <cstdio>

namespace foil::test {

struct TarFile {
  std::string name;  // of at most 100 bytes
  Bytes bytes = {};
  char type = '0';          // '2': a link
  std::string linked = {};  // where a link leads
};

inline Bytes tar_header(const TarFile& file, unsigned long time) {
  Bytes header(512, 0);
  const auto put = [&](size_t at, const std::string& text) {
    std::copy(text.begin(), text.end(), header.begin() + static_cast<long>(at));
  };
  const auto octal = [](unsigned long value, int digits) {
    char text[16];
    std::snprintf(text, sizeof text, "%0*lo", digits, value);
    return std::string(text);
  };
  put(0, file.name);
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, octal(file.bytes.size(), 11));
  put(136, octal(time, 11));
  put(148, "        ");
  header[156] = static_cast<uint8_t>(file.type);
  put(157, file.linked);
  put(257, std::string("ustar\0"
                       "00",
                       8));
  unsigned long sum = 0;
  for (const uint8_t byte : header) sum += byte;
  put(148, octal(sum, 6) + '\0');
  return header;
}

// The archive; without `closed` the two empty blocks at its end are missing.
inline Bytes tar(const std::vector<TarFile>& files, unsigned long time = 0, bool closed = true) {
  Bytes out;
  for (const TarFile& file : files) {
    const Bytes header = tar_header(file, time);
    out.insert(out.end(), header.begin(), header.end());
    out.insert(out.end(), file.bytes.begin(), file.bytes.end());
    out.resize((out.size() + 511) / 512 * 512, 0);
  }
  if (closed) out.resize(out.size() + 1024, 0);
  return out;
}

}  // namespace foil::test
