// SPDX-License-Identifier: BSD-3-Clause
// Whole files, atomically.
#include "run/file.h"

#include "run/json.h"
#include "run/temporary.h"
#include "run_test.h"

#include <regex>

namespace foil {
namespace {

int files_in(const std::string& folder) {
  return static_cast<int>(
      std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()));
}

TEST(File, ReadsBackWhatWasWrittenAndLeavesNothingElse) {
  const TempFolder scratch;
  const std::string bytes("a\0b\n\xff", 5);
  write_atomically(scratch / "x", "older and longer");
  write_atomically(scratch / "x", bytes);
  EXPECT_EQ(read_file(scratch / "x"), bytes);
  EXPECT_EQ(files_in(scratch.path()), 1);
}

TEST(File, ReadsFilesThatSayTheyAreEmpty) {
  EXPECT_NE(read_file("/proc/self/stat").find("file_test"), std::string::npos);
}

TEST(File, NamesThePathAndTheReasonWhenItCannotRead) {
  const TempFolder scratch;
  EXPECT_EQ(error_of([&] { read_file(scratch / "none"); }),
            "5 " + (scratch / "none") + ": cannot read: No such file or directory");
  EXPECT_EQ(error_of([&] { read_file(scratch.path()); }),
            "5 " + scratch.path() + ": cannot read: Is a directory");
}

TEST(File, NamesThePathWhenTheFolderIsMissing) {
  const TempFolder scratch;
  const std::regex expected(
      "1 .*/none/x: cannot write 3 bytes \\(free: .* [kMGTP]B\\): No such file or directory");
  EXPECT_TRUE(std::regex_match(error_of([&] { write_atomically(scratch / "none/x", "abc"); }), expected));
}

TEST(File, KeepsTheOldContentWhenTheDiskIsFull) {
  const TempFolder scratch;
  EXPECT_EQ(exit_code_of_child([&] {
              make_small(scratch.path(), 65536);
              write_atomically(scratch / "x", "old");
              const std::string error =
                  error_of([&] { write_atomically(scratch / "x", std::string(100'000, 'n')); });
              const std::regex expected(
                  "1 .*/x: cannot write 100 kB \\(free: .*\\): (No space left on device|File too large)");
              if (!std::regex_match(error, expected)) throw std::runtime_error(error);
              return read_file(scratch / "x") == "old" && files_in(scratch.path()) == 1 ? 0 : 1;
            }),
            0);
}

TEST(File, WritesThroughNoLinkThatSomebodyPlanted) {
  const TempFolder scratch;
  write_plainly(scratch / "precious", "precious");
  std::filesystem::create_directory(scratch / "run");
  // The names that can be guessed: the file's own, and temporary ones of this process.
  for (const std::string name : {"x", "log", "x.tmp", "x.0.tmp"})
    std::filesystem::create_symlink(scratch / "precious", scratch / ("run/" + name));
  for (int id = ::getpid(); id < ::getpid() + 3; ++id)
    std::filesystem::create_symlink(scratch / "precious", scratch / ("run/x." + std::to_string(id) + ".tmp"));
  write_atomically(scratch / "run/x", "new");
  EXPECT_EQ(read_file(scratch / "run/x"), "new");
  EXPECT_FALSE(std::filesystem::is_symlink(scratch / "run/x"));
  EXPECT_NE(error_of([&] { AppendFile(scratch / "run/log"); }), "no error");
  EXPECT_EQ(read_file(scratch / "precious"), "precious");
  const Temporary one = create_temporary(scratch / "run/x"), two = create_temporary(scratch / "run/x");
  EXPECT_NE(one.name, two.name);
  EXPECT_TRUE(is_temporary(one.name));
  ::close(one.descriptor);
  ::close(two.descriptor);
}

TEST(AppendFile, TakesBackHalfARecordWhenTheDiskIsFull) {
  const TempFolder scratch;
  EXPECT_EQ(exit_code_of_child([&] {
              make_small(scratch.path(), 65536);
              AppendFile file(scratch / "x");
              file.append("one\n");
              const std::string error = error_of([&] { file.append(std::string(100'000, 'n')); });
              if (!error.starts_with("1 " + (scratch / "x") + ": cannot write 100 kB"))
                throw std::runtime_error(error);
              file.append("two\n");
              return read_file(scratch / "x") == "one\ntwo\n" ? 0 : 1;
            }),
            0);
}

TEST(File, ChecksumIsTheCommonCrc32) { EXPECT_EQ(checksum("123456789"), "crc32:cbf43926"); }

TEST(File, ReadableBytesKeepTwoDigitsBelowTen) {
  EXPECT_EQ(readable_bytes(0), "0 bytes");
  EXPECT_EQ(readable_bytes(999), "999 bytes");
  EXPECT_EQ(readable_bytes(1234), "1.2 kB");
  EXPECT_EQ(readable_bytes(45'400'000), "45 MB");
  EXPECT_EQ(readable_bytes(999'700), "1.0 MB");
  EXPECT_EQ(readable_bytes(80'000'000'000), "80 GB");
  EXPECT_EQ(readable_bytes(INT64_MAX), "9.2 EB");
}

TEST(File, TimeIsIso8601InUtc) {
  ::setenv("TZ", "Asia/Tokyo", 1);
  ::tzset();
  const std::time_t before = std::time(nullptr);
  const std::string text = utc_now();
  const std::time_t after = std::time(nullptr);
  ASSERT_TRUE(std::regex_match(text, std::regex("\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}Z"))) << text;
  std::tm parts{};
  ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  EXPECT_GE(::timegm(&parts), before);
  EXPECT_LE(::timegm(&parts), after);
}

TEST(Json, ReadsBackEveryNumberBitForBit) {
  const nlohmann::json value = {0.1,     -0.0,       5e-324,           1.7976931348623157e308,
                                1.0 / 3, 16777217.0, 9007199254740993, UINT64_MAX};
  EXPECT_EQ(dump_json(parse_json(dump_json(value), "x")), dump_json(value));
  for (size_t i = 0; i < value.size(); ++i) {
    const double back = parse_json(dump_json(value), "x")[i].get<double>(), wanted = value[i].get<double>();
    EXPECT_EQ(std::memcmp(&back, &wanted, sizeof back), 0) << value[i];
  }
}

TEST(Json, CarriesNonFiniteNumbersAsTextAtAnyDepth) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(dump_json({{"a", {1.5, -infinity}}, {"b", {{"c", infinity}}}, {"d", std::nan("")}}),
            R"({"a":[1.5,"-inf"],"b":{"c":"inf"},"d":"nan"})");
  EXPECT_TRUE(std::isnan(json_number("nan")));
  EXPECT_EQ(json_number("inf"), infinity);
  EXPECT_EQ(json_number("-inf"), -infinity);
  EXPECT_EQ(json_number(3), 3.0);
  EXPECT_EQ(error_of([] { json_number("three"); }),
            "5 got \"three\", allowed: a number, \"nan\", \"inf\" or \"-inf\"");
}

TEST(Json, RefusesDuplicateKeysDeepNestingAndGarbage) {
  EXPECT_EQ(error_of([] { parse_json(R"({"a":{"b":1},"c":{"b":2,"b":3}})", "x.json"); }),
            "5 x.json: duplicate key \"b\"");
  EXPECT_EQ(error_of([] { parse_json(std::string(100'000, '['), "x.json"); }),
            "5 x.json: nested deeper than 100");
  EXPECT_TRUE(error_of([] {
                parse_json("{\"a\":1", "x.json");
              }).starts_with("5 x.json: not JSON: parse error at line 1, column "));
  EXPECT_LE(error_of([] { parse_json("{\"" + std::string(100'000, '['), "x.json"); }).size(), 300u);
}

TEST(Json, TheDeepestThatIsReadIsWrittenAgain) {
  const std::string deepest = std::string(100, '[') + std::string(100, ']');
  EXPECT_EQ(dump_json(parse_json(deepest, "x.json")), deepest);
  EXPECT_EQ(error_of([&] { parse_json("[" + deepest + "]", "x.json"); }), "5 x.json: nested deeper than 100");
  EXPECT_TRUE(parse_json_or_null("[" + deepest + "]").is_null());
  EXPECT_TRUE(parse_json_or_null("{\"a\":").is_null());
  EXPECT_EQ(parse_json_or_null("{\"a\":1}")["a"], 1);
}

TEST(Json, TextThatIsNotUtf8IsWrittenEscaped) {
  EXPECT_EQ(dump_json({{"caf\xe9", "\xff.png"}, {"plain", "caf\xc3\xa9\n"}}),
            R"({"caf\\xe9":"\\xff.png","plain":"café\n"})");
  EXPECT_TRUE(error_of([] { parse_json("{\"a\":\"\xff\"}", "x.json"); }).starts_with("5 x.json: not JSON: "));
}

}  // namespace
}  // namespace foil
