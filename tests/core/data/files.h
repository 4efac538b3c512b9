// SPDX-License-Identifier: BSD-3-Clause
// What the tests of the readers share: files made byte by byte, in a folder that goes away.
#pragma once

#include "tests/support/error_of.h"
#include "tests/support/temp_folder.h"

#include <zlib.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

namespace foil::test {

using Bytes = std::vector<uint8_t>;

// A folder of such files.
class Folder : public TempFolder {
 public:
  std::string write(const std::string& name, const Bytes& bytes) const {
    return TempFolder::write(name, {bytes.begin(), bytes.end()});
  }
};

inline Bytes gzip(const Bytes& plain) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  Bytes out(deflateBound(&stream, plain.size()));
  stream.next_in = const_cast<uint8_t*>(plain.data());
  stream.avail_in = static_cast<unsigned>(plain.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<unsigned>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// An IDX file, of unsigned bytes unless `type` says otherwise.
inline Bytes idx(const std::vector<uint32_t>& sizes, const Bytes& payload, uint8_t type = 8) {
  Bytes out{0, 0, type, static_cast<uint8_t>(sizes.size())};
  for (uint32_t n : sizes) {
    for (int shift : {24, 16, 8, 0}) out.push_back(static_cast<uint8_t>(n >> shift));
  }
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

// Bytes without a period that a wrong stride could hide behind.
inline Bytes noise(size_t count, uint32_t seed = 1) {
  Bytes out(count);
  for (uint8_t& byte : out) {
    seed = seed * 1664525u + 1013904223u;
    byte = static_cast<uint8_t>(seed >> 24);
  }
  return out;
}

// Numbers of `width` bytes each, the highest first.
inline Bytes big_endian(const std::vector<int32_t>& numbers, int width) {
  Bytes out;
  for (const int32_t number : numbers)
    for (int byte = width - 1; byte >= 0; --byte)
      out.push_back(static_cast<uint8_t>(static_cast<uint32_t>(number) >> (8 * byte)));
  return out;
}

inline Bytes bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

// The folder of a real data set under FOIL_DATA, for ValuesIn(): none where there is none.
inline std::vector<std::string> real(const std::string& name) {
  const char* root = std::getenv("FOIL_DATA");
  const std::string folder = std::string(root ? root : "") + "/" + name;
  return root && std::filesystem::exists(folder) ? std::vector<std::string>{folder}
                                                 : std::vector<std::string>();
}

// An environment variable for the length of a scope; null = not set.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) {
      old_ = old;
      was_set_ = true;
    }
    value ? setenv(name, value, 1) : unsetenv(name);
  }
  ~Environment() { was_set_ ? setenv(name_, old_.c_str(), 1) : unsetenv(name_); }

 private:
  const char* name_;
  std::string old_;
  bool was_set_ = false;
};

}  // namespace foil::test
