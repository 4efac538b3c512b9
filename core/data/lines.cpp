// SPDX-License-Identifier: BSD-3-Clause
// Cutting a stream of bytes at its line feeds, and looking at each line once.
#include "data/lines.h"

#include "run/text.h"

#include <foil/error.h>

#include <fmt/format.h>

#include <algorithm>

namespace foil {
namespace {

constexpr std::string_view kMark = "\xEF\xBB\xBF";  // U+FEFF, which some editors put first

// The byte of `line` at which it stops being UTF-8.
size_t first_bad_byte(std::string_view line) {
  size_t at = 0;
  while (at < line.size()) {
    size_t bytes = 1;
    while (bytes <= 4 && !is_utf8(line.substr(at, bytes))) ++bytes;
    if (bytes > 4) return at;
    at += bytes;
  }
  return at;
}

}  // namespace

bool Lines::next(std::string& line) {
  line.clear();
  for (;;) {
    if (at_ == end_) {
      at_ = 0;
      end_ = static_cast<size_t>(file_.read(buffer_.data(), static_cast<int64_t>(buffer_.size())));
      if (end_ == 0 && line.empty()) return false;
    }
    const std::string_view there(buffer_.data() + at_, end_ - at_);
    const size_t feed = std::min(there.find('\n'), there.size());
    line += there.substr(0, feed);
    at_ += std::min(feed + 1, there.size());
    if (static_cast<int64_t>(line.size()) > kLongest) {
      ++number_;
      fail(Exit::data, place(), ": a line of more than ", kLongest, " bytes, allowed: at most so many.");
    }
    if (feed < there.size() || end_ == 0) break;
  }
  ++number_;
  if (!is_utf8(line)) require_utf8(line, place(), "line");
  if (!line.empty() && line.back() == '\r') line.pop_back();
  if (number_ == 1 && line.starts_with(kMark)) line.erase(0, kMark.size());
  return true;
}

std::string Lines::place() const { return printable(path()) + ":" + std::to_string(number_); }

void require_utf8(std::string_view text, const std::string& place, const char* what) {
  if (is_utf8(text)) return;
  const size_t at = first_bad_byte(text);
  fail(Exit::data, place, ": byte ", at + 1, " of the ", what, " is ",
       fmt::format("0x{:02x}", static_cast<uint8_t>(text[at])), ", which is not UTF-8.");
}

std::string in_quotes(std::string_view text) {
  constexpr int64_t kShown = 60;
  const std::string_view begin = whole_characters(text, kShown);
  return "'" + printable(begin) + (begin.size() < text.size() ? "..." : "") + "'";
}

std::string_view whole_characters(std::string_view text, int64_t most) {
  auto at = static_cast<size_t>(most);
  if (text.size() <= at) return text;
  while (at > 0 && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) --at;  // the rest of a character
  return text.substr(0, at);
}

}  // namespace foil
