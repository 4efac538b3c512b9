// SPDX-License-Identifier: BSD-3-Clause
// What may be shown as it came, and what is escaped.
#include "run/text.h"

#include <gtest/gtest.h>

namespace foil {
namespace {

TEST(Text, ControlCharactersAreEscapedAndOtherTextStays) {
  EXPECT_EQ(printable("caf\xc3\xa9 \xe7\x8c\xab \xf0\x9f\x90\x88 \\n"),
            "caf\xc3\xa9 \xe7\x8c\xab \xf0\x9f\x90\x88 \\n");
  EXPECT_EQ(printable(std::string_view("a\0\x1b[2J\r\n\t\x7f", 10)), "a\\x00\\x1b[2J\\x0d\\x0a\\x09\\x7f");
  EXPECT_EQ(printable_lines("a\n\tb\r"), "a\n\tb\\x0d");
  EXPECT_EQ(printable("\xc2\x9b"), "\\xc2\\x9b");  // CSI in one code point
  EXPECT_EQ(printable("\xe2\x80\xae"
                      "gnp"),
            "\\xe2\\x80\\xaegnp");  // written from right to left
}

TEST(Text, BytesThatAreNoUtf8AreEscapedOneByOne) {
  EXPECT_EQ(printable("caf\xe9.png"), "caf\\xe9.png");
  EXPECT_EQ(printable("\xe2\x82"), "\\xe2\\x82");                    // cut short
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");                    // overlong
  EXPECT_EQ(printable("\xe0\x9f\xbf"), "\\xe0\\x9f\\xbf");           // overlong
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // a surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // above U+10FFFF
  EXPECT_FALSE(is_utf8("\xff"));
  EXPECT_TRUE(is_utf8("\xf4\x8f\xbf\xbf"));
}

}  // namespace
}  // namespace foil
