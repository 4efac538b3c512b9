// SPDX-License-Identifier: BSD-3-Clause
// Braces in names of files, against what bash makes of them.
#include "data/braces.h"

#include "tests/support/error_of.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <memory>

namespace foil {
namespace {

using Names = std::vector<std::string>;

std::string joined(const Names& names) {
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : " ") + name;
  return all + "\n";
}

std::string of_bash(const std::string& text) {
  const std::string command = "bash -c 'echo " + text + "'";
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  std::string out(1 << 16, '\0');
  out.resize(std::fread(out.data(), 1, out.size(), pipe.get()));
  return out;
}

TEST(Braces, AreWhatBashMakesOfThem) {
  for (const char* text : {"plain.tar", "train-{0000..0012}.tar", "{7..12}.tar", "{07..12}", "{0..0}",
                           "a{8..011}b", "{a,b}/x.tar", "{a,b}-{0..2}.tar",
                           "{train-{00..03},extra-{1..2}}.tar", "{a,{b,c}d}{1,2}", "x{,.tar}"})
    EXPECT_EQ(joined(expand_braces("train", text)), of_bash(text)) << text;
}

TEST(Braces, AreRefusedWhereTheySayNothing) {
  const auto refusal = [](const std::string& text) {
    return test::error_of([&] { expand_braces("train", text); });
  };
  EXPECT_EQ(refusal("a-{000..3.tar"), "2 train = 'a-{000..3.tar', allowed: a '}' for each '{'.");
  EXPECT_EQ(refusal("a-0}.tar"), "2 train = 'a-0}.tar', allowed: a '{' before each '}'.");
  EXPECT_EQ(refusal("a-{}.tar"),
            "2 train = 'a-{}.tar', allowed: between braces a range {00..17} or alternatives {a,b}.");
  EXPECT_EQ(refusal("a-{b..d}.tar"),
            "2 train = 'a-{b..d}.tar', allowed: between braces a range {00..17} or alternatives {a,b}.");
  EXPECT_EQ(refusal("{9..3}.tar"),
            "2 train = '{9..3}.tar', allowed: a range from the lower number to the higher.");
  EXPECT_EQ(refusal("{0..1000000}.tar"),
            "2 train = '{0..1000000}.tar', allowed: braces for at most 1000000 names.");
  EXPECT_EQ(refusal("{0..9999}{0..9999}.tar"),
            "2 train = '{0..9999}{0..9999}.tar', allowed: braces for at most 1000000 names.");
}

}  // namespace
}  // namespace foil
