// SPDX-License-Identifier: BSD-3-Clause
// The only file that sees toml++. Its tables are sorted by key and its copies lose their places, hence the
// conversion to a tree of our own. It recurses as deep as a text says and asserts where it should refuse,
// hence the look at the text before it and the assertion that throws.
#include "config/parse.h"

#include "run/text.h"

#include <foil/error.h>

namespace {

struct Asserted {};  // toml++ met what it thinks impossible

[[noreturn]] void asserted() { throw Asserted(); }

}  // namespace

#undef NDEBUG  // where it is defined toml++ takes what it asserts for granted
#define TOML_ASSERT(expression) (static_cast<bool>(expression) ? static_cast<void>(0) : asserted())
#define TOML_MAX_NESTED_VALUES 64
#include <toml++/toml.h>

#include <algorithm>

namespace foil {
namespace {

constexpr size_t kMostBytes = size_t{4} << 20;
constexpr int kMostNested = 32;

Origin place(const toml::source_region& source, const std::string& file) {
  return {file, static_cast<int>(source.begin.line), static_cast<int>(source.begin.column)};
}

// The place of the byte at `offset`; columns count characters.
Origin place(std::string_view text, size_t offset, const std::string& file) {
  Origin at{file, 1, 1};
  for (const char c : text.substr(0, offset)) {
    if (c == '\n') {
      ++at.line;
      at.column = 1;
    } else if ((c & 0xC0) != 0x80) {
      ++at.column;
    }
  }
  return at;
}

// Where the text or comment that begins at `i` ends: behind it, or at the end of what toml++ reads of it
// before it refuses.
size_t behind_text(std::string_view text, size_t i) {
  const char quote = text[i];
  if (quote == '#') return std::min(text.find('\n', i), text.size());
  const std::string three(3, quote);
  const bool lines = text.substr(i, 3) == three;
  for (i += lines ? 3 : 1; i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\') {
      ++i;
    } else if (lines ? text.substr(i, 3) == three : text[i] == quote) {
      return i + (lines ? 3 : 1);
    } else if (!lines && text[i] == '\n') {
      return i;
    }
  }
  return text.size();
}

[[noreturn]] void cannot_stand(std::string_view text, size_t at, const std::string& file) {
  size_t end = at + 1;
  while (end < text.size() && (text[end] & 0xC0) == 0x80) ++end;
  fail(Exit::usage, place(text, at, file).text(), ": not valid TOML: ", printable(text.substr(at, end - at)),
       " cannot stand here.");
}

// Refuses what toml++ is not safe with: a tree too deep for a stack, by the parts of a dotted key or by what
// stands inside one another; and letters beyond ASCII outside of texts and comments.
void look_over(std::string_view text, const std::string& file) {
  int parts = 1, nested = 0;
  for (size_t i = text.starts_with("\xEF\xBB\xBF") ? 3 : 0; i < text.size();) {
    const char c = text[i];
    if (c == '"' || c == '\'' || c == '#') {
      i = behind_text(text, i);
      continue;
    }
    if (c & 0x80) cannot_stand(text, i, file);
    if (c == '.' && ++parts > kMostParts) {
      fail(Exit::usage, place(text, i, file).text(), ": a key of more than ", kMostParts,
           " parts, allowed: at most ", kMostParts, ".");
    }
    if (std::string_view("=,[]{}\n").find(c) != std::string_view::npos) parts = 1;
    if ((c == '[' || c == '{') && ++nested > kMostNested) {
      fail(Exit::usage, place(text, i, file).text(), ": more than ", kMostNested,
           " lists and tables inside one another, allowed: ", kMostNested, ".");
    }
    if (c == ']' || c == '}') nested = std::max(nested - 1, 0);
    ++i;
  }
}

Node convert(const toml::node& from, const std::string& file) {
  Node to;
  to.origin = place(from.source(), file);
  if (const toml::table* table = from.as_table()) {
    if (table->size() > kMostKeys) {
      fail(Exit::usage, to.origin.text(), ": a table of ", table->size(), " keys, allowed: at most ",
           kMostKeys, ".");
    }
    to.value = Node::Table{};
    for (const auto& [key, child] : *table) {
      Node node = convert(child, file);
      node.key_origin = place(key.source(), file);
      to.table().emplace_back(key.str(), std::move(node));
    }
    std::stable_sort(to.table().begin(), to.table().end(), [](const auto& a, const auto& b) {
      const Origin &x = a.second.key_origin, &y = b.second.key_origin;
      return std::pair(x.line, x.column) < std::pair(y.line, y.column);
    });
  } else if (const toml::array* array = from.as_array()) {
    to.value = Node::Array{};
    for (const toml::node& child : *array) to.array().push_back(convert(child, file));
  } else if (const auto* text = from.as_string()) {
    to.value = text->get();
  } else if (const auto* integer = from.as_integer()) {
    to.value = integer->get();
  } else if (const auto* number = from.as_floating_point()) {
    to.value = number->get();
  } else if (const auto* flag = from.as_boolean()) {
    to.value = flag->get();
  } else {
    fail(Exit::usage, to.origin.text(),
         ": a date or time, allowed: a number, a text, true or false, a list, a table. Put it in quotes.");
  }
  return to;
}

bool asserts(std::string_view text) {
  try {
    static_cast<void>(toml::parse(text, std::string()));
  } catch (const toml::parse_error&) {
  } catch (const Asserted&) {
    return true;
  }
  return false;
}

// How far toml++ reads before it asserts: the shortest beginning of the text with which it does.
size_t asserting_byte(std::string_view text) {
  size_t none = 0, some = text.size();
  while (some - none > 1) {
    const size_t middle = none + (some - none) / 2;
    (asserts(text.substr(0, middle)) ? some : none) = middle;
  }
  return none;
}

}  // namespace

Node parse_toml(std::string_view text, const std::string& file) {
  if (text.size() > kMostBytes) {
    fail(Exit::usage, file, ": ", text.size(), " bytes of TOML, allowed: at most ", kMostBytes, ".");
  }
  look_over(text, file);
  try {
    return convert(toml::parse(text, file), file);
  } catch (const toml::parse_error& error) {
    fail(Exit::usage, place(error.source(), file).text(),
         ": not valid TOML: ", printable(error.description()), ".");
  } catch (const Asserted&) {
    cannot_stand(text, asserting_byte(text), file);
  }
}

}  // namespace foil
