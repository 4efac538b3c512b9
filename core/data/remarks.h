// SPDX-License-Identifier: BSD-3-Clause
// What a reader says about what it found, besides the numbers of Dataset.
#pragma once

#include <cstdint>
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

// Things of one kind that were passed over: how many, and the names of the first.
class Passed {
 public:
  static constexpr size_t kExamples = 5;  // names in one remark

  void add(const std::string& name);
  void add(const Passed& later);
  bool any() const { return count_ > 0; }
  // "2 hidden files or folders (a/.x, b/.y)".
  std::string text(const std::string& one, const std::string& many) const;

 private:
  int64_t count_ = 0;
  std::vector<std::string> names_;
};

}  // namespace foil
