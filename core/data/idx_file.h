// SPDX-License-Identifier: BSD-3-Clause
// One file in IDX format, plain or gzip: a big-endian header (00 00 TYPE DIMENSIONS, then each size as 32
// bits), then the elements in row-major order, big-endian. Which files make a data set is not known here.
#pragma once

#include "data/file.h"

#include <foil/view.h>

namespace foil {

// What an IDX file holds. The numbers are the third byte of its header; floats and signed bytes are not read.
enum class IdxType : uint8_t { bytes = 0x08, shorts = 0x0B, ints = 0x0C };

// An IDX file of an allowed number of dimensions; `noun` is what its rows are, for messages. The constructor
// looks at the header, and at the size of the file beside it, before any data is read.
class IdxFile {
 public:
  IdxFile(const std::string& path, int low, int high, const char* noun, IdxType type = IdxType::bytes);

  const std::string& path() const { return file_.path(); }
  const std::vector<int64_t>& sizes() const { return sizes_; }

  // uint8, int16 or int32, of the sizes of the header. Once.
  Tensor read();

 private:
  void read_header(int low, int high);
  void check_size();
  [[noreturn]] void ends_after(int64_t bytes) const;
  [[noreturn]] void goes_on() const;

  ByteReader file_;
  const char* noun_;
  IdxType type_;
  int64_t width_;  // bytes of an element
  std::vector<int64_t> sizes_;
};

}  // namespace foil
