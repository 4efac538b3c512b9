// SPDX-License-Identifier: BSD-3-Clause
// What is seen of many files, or of members of archives, without decoding them: a checksum of each, and how
// the pictures among them lie. Of few bytes all are read, of many a part, so that it takes seconds of any
// set.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace foil {

struct Glance {
  int64_t looked_at = 0,
          turned = 0;  // files; of these, JPEG files whose EXIF orientation is another than upright
  int64_t stride = 1;  // files 0, stride, 2 stride, ... are those looked at
  std::vector<std::string> sums;
  // "" where the file was not looked at.
  std::string sum(int64_t file) const {
    return file % stride == 0 ? sums[static_cast<size_t>(file / stride)] : "";
  }
  // What a reader says of `turned` (remarks.h); nothing where there is none.
  std::vector<std::string> remarks() const;
};

constexpr int64_t kGlanceEnd = 4096;  // bytes at each end of a file

// Looks at every byte where the `files` have at most 256 MiB, `bytes` in all, else at kGlanceEnd bytes at
// each end of at most 16,384 of them, evenly spaced. `read(file, whole)` gives that; called from `threads`
// threads.
Glance glance_at(int64_t files, int64_t bytes, int64_t threads,
                 const std::function<std::vector<uint8_t>(int64_t file, bool whole)>& read);

}  // namespace foil
