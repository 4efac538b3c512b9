// SPDX-License-Identifier: BSD-3-Clause
// One pair of braces at a time, from the left: what is inside may hold braces again.
#include "data/braces.h"

#include "run/text.h"

#include <foil/error.h>

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string_view>

namespace foil {
namespace {

constexpr size_t kMost = 1'000'000;  // names

bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 18 && text.find_first_not_of("0123456789") == text.npos;
}

int64_t number_of(std::string_view digits) {
  int64_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

class Expansion {
 public:
  Expansion(const std::string& option, const std::string& text) : option_(option), text_(text) {
    expand(text);
  }
  std::vector<std::string> names;

 private:
  [[noreturn]] void refuse_text(const std::string& allowed) const {
    refuse(option_, "'" + printable(text_) + "'", allowed);
  }

  void expand(const std::string& text) {
    const size_t open = text.find('{');
    if (open == text.npos) {
      if (text.find('}') != text.npos) refuse_text("a '{' before each '}'");
      if (names.size() >= kMost) refuse_text("braces for at most " + std::to_string(kMost) + " names");
      names.push_back(text);
      return;
    }
    const size_t close = closing(text, open);
    const std::string before = text.substr(0, open), after = text.substr(close + 1);
    for (const std::string& one : inside(std::string_view(text).substr(open + 1, close - open - 1)))
      expand(before + one + after);
  }

  size_t closing(const std::string& text, size_t open) const {
    int depth = 0;
    for (size_t at = open; at < text.size(); ++at) {
      depth += text[at] == '{' ? 1 : text[at] == '}' ? -1 : 0;
      if (depth == 0) return at;
    }
    refuse_text("a '}' for each '{'");
  }

  std::vector<std::string> inside(std::string_view body) const {
    const size_t dots = body.find("..");
    if (dots != body.npos && is_number(body.substr(0, dots)) && is_number(body.substr(dots + 2)))
      return range(body.substr(0, dots), body.substr(dots + 2));
    std::vector<std::string> all(1);  // split at the commas that no braces enclose
    int depth = 0;
    for (const char c : body) {
      depth += c == '{' ? 1 : c == '}' ? -1 : 0;
      if (c == ',' && depth == 0) {
        all.emplace_back();
      } else {
        all.back() += c;
      }
    }
    if (all.size() < 2) refuse_text("between braces a range {00..17} or alternatives {a,b}");
    return all;
  }

  std::vector<std::string> range(std::string_view low, std::string_view high) const {
    const int64_t first = number_of(low), last = number_of(high);
    if (last < first) refuse_text("a range from the lower number to the higher");
    if (last - first >= static_cast<int64_t>(kMost))
      refuse_text("braces for at most " + std::to_string(kMost) + " names");
    const bool padded = (low.size() > 1 && low[0] == '0') || (high.size() > 1 && high[0] == '0');
    const size_t width = padded ? std::max(low.size(), high.size()) : 0;
    std::vector<std::string> all;
    for (int64_t i = first; i <= last; ++i) all.push_back(fmt::format("{:0{}}", i, width));
    return all;
  }

  const std::string& option_;
  const std::string& text_;
};

}  // namespace

std::vector<std::string> expand_braces(const std::string& option, const std::string& text) {
  return Expansion(option, text).names;
}

}  // namespace foil
