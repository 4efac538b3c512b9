// SPDX-License-Identifier: BSD-3-Clause
// Whatever the text, parse_toml gives a tree or refuses at a place.
#include "config/parse.h"

#include "config/dump.h"
#include "tests/support/error_of.h"

#include <foil/random.h>

namespace foil {
namespace {

using test::refusal;

std::string refused(const std::string& text) {
  return refusal([&] { parse_toml(text, "a.toml"); });
}

std::string repeated(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

TEST(ParseToml, RefusesAtItsPlaceWhatCannotBeginAKey) {
  const struct {
    std::string text, message;
  } cases[] = {
      {"[[[", "a.toml:1:3: not valid TOML: [ cannot stand here."},
      {"\n [[[loss]]]", "a.toml:2:4: not valid TOML: [ cannot stand here."},
      {"[.a]", "a.toml:1:2: not valid TOML: . cannot stand here."},
      {"[[.a]]", "a.toml:1:3: not valid TOML: . cannot stand here."},
      {"[[#", "a.toml:1:3: not valid TOML: # cannot stand here."},
      {"[=", "a.toml:1:2: not valid TOML: = cannot stand here."},
      {"[\x1b]", "a.toml:1:2: not valid TOML: \\x1b cannot stand here."},
      {"# \xc3\xa9\n\"\xc3\xa9\" = '\xc3\xa9'\n\xc3\xa9 = 1",
       "a.toml:3:1: not valid TOML: \xc3\xa9 cannot stand here."},
      {"a = 1\xc2\xa0", "a.toml:1:6: not valid TOML: \xc2\xa0 cannot stand here."},
      {"\xff", "a.toml:1:1: not valid TOML: \\xff cannot stand here."},
  };
  for (const auto& test : cases) EXPECT_EQ(refused(test.text), test.message);
}

TEST(ParseToml, RefusesATreeThatIsTooDeepForAnyStack) {
  const std::string key = ": a key of more than 32 parts, allowed: at most 32.";
  const std::string long_key = repeated("a.", 59'999) + "a";
  EXPECT_EQ(refused(long_key + " = 1"), "a.toml:1:64" + key);
  EXPECT_EQ(refused("[" + long_key + "]"), "a.toml:1:65" + key);
  EXPECT_EQ(refused("[[" + long_key + "]]"), "a.toml:1:66" + key);
  EXPECT_EQ(refused("x = { " + long_key + " = 1 }"), "a.toml:1:70" + key);
  EXPECT_EQ(refused(repeated("'a' . ", 59'999) + "a = 1"), "a.toml:1:191" + key);
  const std::string nested = ": more than 32 lists and tables inside one another, allowed: 32.";
  EXPECT_EQ(refused("a = " + repeated("[", 100'000)), "a.toml:1:37" + nested);
  EXPECT_EQ(refused("a = " + repeated("{a=", 100'000)), "a.toml:1:101" + nested);
}

TEST(ParseToml, CountsNoDotsAndBracketsOfTextsAndComments) {
  const std::string text = repeated(".", 100) + "#" + repeated("[{", 100);
  for (const std::string quote : {"\"", "'", "\"\"\"", "'''"}) {
    const Node root = parse_toml("a = " + quote + text + quote + " # " + text + "\nb = 1\n", "");
    EXPECT_EQ(root.find("a")->text(), text);
    EXPECT_EQ(root.find("b")->integer(), 1);
  }
  EXPECT_EQ(parse_toml("a = \"\\\"" + text + "\\\\\"", "").find("a")->text(), "\"" + text + "\\");
  EXPECT_EQ(parse_toml("a = [" + repeated("1.5, ", 100) + "]", "").find("a")->array().size(), 100u);
  EXPECT_EQ(
      parse_toml(repeated("a.", 31) + "a = " + repeated("[", 32) + repeated("]", 32), "").table().size(), 1u);
}

TEST(ParseToml, RefusesMoreThanAnyoneWrites) {
  EXPECT_EQ(refused(std::string((4 << 20) + 1, '\n')),
            "a.toml: 4194305 bytes of TOML, allowed: at most 4194304.");
  std::string keys;
  for (int i = 0; i <= 10'000; ++i) keys += "k" + std::to_string(i) + " = 1\n";
  EXPECT_EQ(refused("[run]\n" + keys), "a.toml:1:1: a table of 10001 keys, allowed: at most 10000.");
}

// Seeded changes of a text with everything in it; what counts is that each call returns or throws foil::Error
// at a place.
TEST(ParseToml, GivesATreeOrRefusesAtAPlaceForAnyChangeOfAFile) {
  const std::string whole =
      "extends = \"b.toml\" # c\n[run]\nname = 'x'\nsteps = 1_0\n[a.\"b.c\"]\n"
      "d.e = {f = [1, 2.5e3, true], g.h = \"\"\"\n\\u00e9\"\"\"}\n[[loss]]\nname = '''y'''\nt = -inf\n"
      "[[loss]]\nw = 0x1F\nwhen = \"1979-05-27\"\n";
  const std::vector<std::string> pieces = {"[",
                                           "[[",
                                           "]",
                                           "]]",
                                           ".",
                                           "=",
                                           "{",
                                           "}",
                                           "\"",
                                           "'",
                                           "#",
                                           "\n",
                                           "\r",
                                           ",",
                                           "a",
                                           "1",
                                           "-",
                                           "_",
                                           "e",
                                           "0x",
                                           "'''",
                                           "\"\"\"",
                                           "\\u",
                                           "\\",
                                           "\x7f",
                                           "\xff",
                                           "\xc3\xa9",
                                           ".5",
                                           std::string(1, '\0')};
  Draws draws(name_key("parse_toml"), 0);
  const auto below = [&](size_t n) { return static_cast<size_t>(draws.below(static_cast<int64_t>(n))); };
  int trees = 0;
  for (int i = 0; i < 4000; ++i) {
    std::string text = i % 2 ? whole : "";
    for (size_t k = 0, changes = below(8); k < changes; ++k) {
      const size_t at = below(text.size() + 1);
      if (below(4) == 0) {
        text.erase(at, below(4));
      } else {
        text.insert(at, pieces[below(pieces.size())]);
      }
    }
    try {
      parse_toml(text, "a.toml");
      ++trees;
    } catch (const Error& error) {
      EXPECT_TRUE(std::string(error.what()).starts_with("a.toml:")) << error.what() << "\n" << text;
    }
  }
  EXPECT_GT(trees, 100);
}

}  // namespace
}  // namespace foil
