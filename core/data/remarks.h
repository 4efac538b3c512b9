// SPDX-License-Identifier: BSD-3-Clause
// What a reader says about what it found, besides the numbers of Dataset.
#pragma once

#include <string>
#include <vector>

namespace foil {

// A data set that leaves things out, or finds them odd, derives from this too.
class Remarks {
 public:
  virtual ~Remarks() = default;
  // One sentence part each, without a full stop, fit to be shown: "left out 9 files of other kinds (.bmp 9)".
  virtual std::vector<std::string> remarks() const = 0;
};

}  // namespace foil
