// SPDX-License-Identifier: BSD-3-Clause
// Texts as a modality that lies in memory: rows of one length, zeros behind the shorter ones.
#pragma once

#include "data/memory.h"

#include <algorithm>

namespace foil {

// Bytes of the longest text, at least 1, so that a row is never empty.
inline int64_t longest_of(const std::vector<std::string>& texts) {
  size_t longest = 1;
  for (const std::string& text : texts) longest = std::max(longest, text.size());
  return static_cast<int64_t>(longest);
}

// The texts as uint8 [N, length], none longer than that, with the bytes of each that count.
Column text_column(const std::vector<std::string>& texts, int64_t length);

// What a reader says of texts that it cut (remarks.h): "cut 12 texts of 'document' to 4096 bytes"; nothing
// where there is none.
std::vector<std::string> cut_remark(int64_t texts, const std::string& column, int64_t bytes);

// A text of at most `length` bytes.
inline Modality text_modality(std::string name, int64_t length) {
  return {std::move(name), {Kind::text, {length}, 256}};
}

}  // namespace foil
