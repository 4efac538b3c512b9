// SPDX-License-Identifier: BSD-3-Clause
#include "data/remarks.h"

#include "run/text.h"

namespace foil {

void Passed::add(const std::string& name) {
  ++count_;
  if (names_.size() < kExamples) names_.push_back(printable(name));
}

void Passed::add(const Passed& later) {
  count_ += later.count_;
  for (const std::string& name : later.names_)
    if (names_.size() < kExamples) names_.push_back(name);
}

std::string Passed::text(const std::string& one, const std::string& many) const {
  std::string text = std::to_string(count_) + " " + (count_ == 1 ? one : many) + " (";
  for (size_t i = 0; i < names_.size(); ++i) text += (i ? ", " : "") + names_[i];
  return text + (count_ > std::ssize(names_) ? ", ...)" : ")");
}

}  // namespace foil
