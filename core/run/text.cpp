// SPDX-License-Identifier: BSD-3-Clause
// One walk over the code points; what does not decode is passed on byte by byte.
#include "run/text.h"

#include <fmt/format.h>

#include <cstdint>

namespace foil {
namespace {

struct CodePoint {
  uint32_t value = 0;
  size_t bytes = 0;  // 0 = the text does not begin with one
};

// The code point that `text`, which is not empty, begins with.
CodePoint first_code_point(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = at(0);
  if (lead < 0x80) return {lead, 1};
  const size_t bytes = 2 + size_t{lead >= 0xE0} + size_t{lead >= 0xF0};
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return {};
  uint32_t value = lead & (0x7Fu >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if ((at(i) & 0xC0) != 0x80) return {};
    value = value << 6 | (at(i) & 0x3F);
  }
  constexpr uint32_t kLowest[] = {0, 0, 0x80, 0x800, 0x10000};  // by length; below it the form is overlong
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  return value < kLowest[bytes] || value > 0x10FFFF || surrogate ? CodePoint{} : CodePoint{value, bytes};
}

// What acts on the terminal or on the order of the text instead of being seen.
bool is_control(uint32_t value) {
  const bool control = value < 0x20 || (value >= 0x7F && value < 0xA0);
  const bool line_end = value == 0x2028 || value == 0x2029;
  const bool direction = value == 0x061C || value == 0x200E || value == 0x200F ||
                         (value >= 0x202A && value <= 0x202E) || (value >= 0x2066 && value <= 0x2069);
  return control || line_end || direction;
}

std::string escaped(std::string_view text, std::string_view kept) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    const std::string_view bytes = text.substr(0, point.bytes == 0 ? 1 : point.bytes);
    const bool shown = point.bytes > 0 && (!is_control(point.value) || kept.find(bytes) != kept.npos);
    if (shown) out += bytes;
    for (const char byte : shown ? std::string_view() : bytes)
      out += fmt::format("\\x{:02x}", static_cast<uint8_t>(byte));
    text.remove_prefix(bytes.size());
  }
  return out;
}

}  // namespace

bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const CodePoint point = first_code_point(bytes);
    if (point.bytes == 0) return false;
    bytes.remove_prefix(point.bytes);
  }
  return true;
}

std::string printable(std::string_view text) { return escaped(text, ""); }

std::string printable_lines(std::string_view text) { return escaped(text, "\n\t"); }

}  // namespace foil
