// SPDX-License-Identifier: BSD-3-Clause
// Lines, cells and columns, and what is refused of them.
#include "data/tsv.h"

#include "bad_data.h"

namespace foil {
namespace {

using test::bytes_of;
using test::error_of;
using test::Folder;
using test::gzip;

using Cells = std::vector<std::vector<std::string>>;

Cells rows_of(const std::string& path) {
  Tsv tsv(path);
  Cells rows;
  while (tsv.next()) {
    rows.emplace_back();
    for (size_t c = 0; c < tsv.columns().size(); ++c) rows.back().emplace_back(tsv.cell(c));
  }
  return rows;
}

TEST(Tsv, GivesTheCellsOfEveryRowByColumn) {
  const Folder folder;
  const Cells want = {{"1", "a b", ""}, {"", "\u4e16\u754c", "x\"y"}, {"3", "", "z"}};
  const std::string text = "id\ttext\tmore\n1\ta b\t\n\t\u4e16\u754c\tx\"y\n3\t\tz";
  EXPECT_EQ(rows_of(folder.write("a.tsv", bytes_of(text))), want) << "the last line without its end";
  EXPECT_EQ(rows_of(folder.write("b.tsv", bytes_of(text + "\n"))), want);
  EXPECT_EQ(rows_of(folder.write("c.tsv.gz", gzip(bytes_of(text + "\n")))), want);
  std::string other = "\xEF\xBB\xBF" + text + "\n";
  for (size_t at = 0; (at = other.find('\n', at)) != other.npos; at += 2) other.insert(at, "\r");
  EXPECT_EQ(rows_of(folder.write("d.tsv", bytes_of(other))), want) << "as other editors end lines";
}

TEST(Tsv, ReadsLinesThatAreLongerThanItsBuffer) {
  const Folder folder;
  Cells want;
  std::string text = "a\tb\n";
  for (size_t row = 0; row < 50; ++row) {
    want.push_back({std::string(1 + 7919 * row, static_cast<char>('a' + row % 26)), std::to_string(row)});
    text += want.back()[0] + "\t" + want.back()[1] + "\n";
  }
  EXPECT_EQ(rows_of(folder.write("long.tsv", bytes_of(text))), want);
}

TEST(Tsv, FindsColumnsByNameAndReadsIntegers) {
  const Folder folder;
  Tsv tsv(folder.write("a.tsv", bytes_of("split\tcount\ntrain\t-12\ntest\t1x\n")));
  EXPECT_EQ(tsv.column("count"), 1u);
  EXPECT_EQ(error_of([&] { tsv.column("counts"); }),
            "5 " + (folder / "a.tsv") +
                ":1: no column 'counts'. Known columns: split, count. "
                "Did you mean 'count'?");
  ASSERT_TRUE(tsv.next());
  EXPECT_EQ(tsv.integer(1, -20, 5), -12);
  EXPECT_EQ(error_of([&] { tsv.integer(1, 0, 5); }),
            "5 " + (folder / "a.tsv") + ":2: count is '-12', allowed: an integer from 0 to 5.");
  ASSERT_TRUE(tsv.next());
  EXPECT_EQ(error_of([&] { tsv.integer(1, 0, 5); }),
            "5 " + (folder / "a.tsv") + ":3: count is '1x', allowed: an integer from 0 to 5.");
  EXPECT_FALSE(tsv.next());
}

TEST(Tsv, RefusesDamageNamingTheLine) {
  const auto file = [](const std::string& text) {
    return [=](const Folder& f) { f.write("a.tsv", bytes_of(text)); };
  };
  test::expect_messages(
      {{"nothing", file(""), "5 FOLDER/a.tsv: is empty, expected a line of column names."},
       {"a column without a name", file("a\t\tb\n"), "5 FOLDER/a.tsv:1: column 2 has no name."},
       {"a name twice", file("a\tb\ta\n"), "5 FOLDER/a.tsv:1: two columns are named 'a'."},
       {"a cell too few", file("a\tb\n1\t2\n3\n"),
        "5 FOLDER/a.tsv:3: 1 cell, allowed: 2, one for each column of the header."},
       {"a cell too many", file("a\tb\n1\t2\t3\n"),
        "5 FOLDER/a.tsv:2: 3 cells, allowed: 2, one for each column of the header."},
       {"an empty line", file("a\tb\n\n1\t2\n"),
        "5 FOLDER/a.tsv:2: 1 cell, allowed: 2, one for each column of the header."},
       {"another encoding", file("a\tb\n1\tgr\xFC\xDF\n"),
        "5 FOLDER/a.tsv:2: byte 5 of the line is 0xfc, which is not UTF-8."},
       {"half a character", file("a\tb\n1\t\xE4\xB8\n"),
        "5 FOLDER/a.tsv:2: byte 3 of the line is 0xe4, which is not UTF-8."},
       {"a line without an end",
        [](const Folder& f) {
          f.write("a.tsv", bytes_of("a\tb\n" + std::string((size_t{1} << 24) + 1, 'x')));
        },
        "5 FOLDER/a.tsv:2: a line of more than 16777216 bytes, allowed: at most so many."},
       {"a gzip that was cut",
        [](const Folder& f) { f.write("a.tsv", test::cut(gzip(bytes_of("a\tb\n1\t2\n")), 20)); },
        "5 FOLDER/a.tsv: unexpected end of file."}},
      file("a\tb\n1\t2\n"), [](const Folder& f) { rows_of(f / "a.tsv"); });
}

TEST(Text, IsCutBehindAWholeCharacter) {
  const std::string text = "a\u00fc\u4e16";  // 1 + 2 + 3 bytes
  const size_t kept[] = {0, 1, 1, 3, 3, 3, 6, 6};
  for (size_t most = 0; most < std::size(kept); ++most)
    EXPECT_EQ(whole_characters(text, static_cast<int64_t>(most)), text.substr(0, kept[most])) << most;
}

}  // namespace
}  // namespace foil
