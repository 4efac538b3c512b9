// SPDX-License-Identifier: BSD-3-Clause
// Pairs of texts in both formats, plain and packed, and what is refused of them.
#include "data/pairs.h"

#include "bad_data.h"
#include "conforms.h"
#include "data/record.h"

#include <torch/types.h>

namespace foil {
namespace {

using test::bytes_of;
using test::error_of;
using test::Folder;
using test::gzip;

using Texts = std::vector<std::string>;

const char* const kTrain =
    "{\"id\": 7, \"query\": \"a tool\", \"document\": \"It does\\nthings.\"}\n"
    "{\"query\": \"gr\u00fc\u00df\", \"document\": \"\", \"id\": 9, \"more\": [1, {\"x\": null}]}\n"
    "\n"
    "{\"id\": 7, \"document\": \"\u4e16\u754c\", \"query\": \"q\\u0022\"}\n";
const char* const kTest =
    "{\"query\": \"other\", \"document\": \"the longest text of all splits\", \"id\": 9}";

void write_pairs(const Folder& folder) {
  folder.write("train.jsonl", bytes_of(kTrain));
  folder.write("test.jsonl.gz", gzip(bytes_of(kTest)));
}

Pairs::Options options_of(const std::string& folder) {
  Pairs::Options options;
  options.path = folder;
  return options;
}

Texts texts_of(const Pairs& data, Split split, size_t modality) {
  const View view = data.read(split, torch::arange(data.size(split)))[modality];
  Texts texts;
  for (int64_t b = 0; b < view.size(); ++b) texts.push_back(test::text_of(view, b));
  return texts;
}

TEST(Pairs, AreTheColumnsOfTheLinesOfEachSplit) {
  const Folder folder;
  write_pairs(folder);
  const Pairs data(options_of(folder.path()));
  ASSERT_EQ(data.modalities().size(), 2u);
  EXPECT_EQ(data.modalities()[0].name, "query");
  EXPECT_EQ(data.modalities()[0].shape.sizes, std::vector<int64_t>{6});
  EXPECT_EQ(data.modalities()[1].shape.sizes, std::vector<int64_t>{30}) << "over all splits";
  EXPECT_EQ(texts_of(data, Split::train, 0), (Texts{"a tool", "gr\u00fc\u00df", "q\""}));
  EXPECT_EQ(texts_of(data, Split::train, 1), (Texts{"It does\nthings.", "", "\u4e16\u754c"}));
  EXPECT_EQ(texts_of(data, Split::test, 1), Texts{"the longest text of all splits"});
  EXPECT_EQ(data.size(Split::validation), 0);
  EXPECT_TRUE(data.classes().empty());
  EXPECT_FALSE(data.groups(Split::train).defined());
  EXPECT_TRUE(data.remarks().empty());
}

TEST(Pairs, AreTheSameFromTabsAndFromFilesNamedOneByOne) {
  const Folder folder;
  Pairs::Options options;
  options.train = folder.write("some.tsv", bytes_of("score\tright\tleft\n5\tb\ta\n2\t\tc d\n"));
  options.validation = folder.write("other.jsonl", bytes_of("{\"left\": 12, \"right\": \"x\"}"));
  options.columns = {"left", "right"};
  const Pairs data(options);
  EXPECT_EQ(texts_of(data, Split::train, 0), (Texts{"a", "c d"}));
  EXPECT_EQ(texts_of(data, Split::train, 1), (Texts{"b", ""}));
  EXPECT_EQ(texts_of(data, Split::validation, 0), Texts{"12"});
  EXPECT_EQ(data.size(Split::test), 0);
  options.columns = {"right"};
  EXPECT_EQ(Pairs(options).modalities().size(), 1u);
}

TEST(Pairs, OfOneGroupAreRelevantToEachOther) {
  const Folder folder;
  write_pairs(folder);
  Pairs::Options options = options_of(folder.path());
  options.group = "id";
  const Pairs data(options);
  EXPECT_TRUE(data.groups(Split::train).equal(torch::tensor({0, 1, 0}, torch::kLong)));
  EXPECT_TRUE(data.groups(Split::test).equal(torch::tensor({1}, torch::kLong))) << "over all splits";
  folder.write("train.jsonl", bytes_of("{\"query\": \"\", \"document\": \"\", \"id\": \"\"}"));
  EXPECT_TRUE(Pairs(options).groups(Split::train).equal(torch::tensor({-1}, torch::kLong)));
}

TEST(Pairs, CutLongTextsBehindACharacterAndSaySo) {
  const Folder folder;
  write_pairs(folder);
  Pairs::Options options = options_of(folder.path());
  options.max_bytes = 4;
  const Pairs data(options);
  EXPECT_EQ(texts_of(data, Split::train, 0), (Texts{"a to", "gr\u00fc", "q\""}));
  EXPECT_EQ(texts_of(data, Split::train, 1), (Texts{"It d", "", "\u4e16"}));
  EXPECT_EQ(data.modalities()[1].shape.sizes, std::vector<int64_t>{4});
  EXPECT_EQ(data_line(data_record("pairs", data)),
            "data: pairs, 3 training samples, 1 test sample, no classes; cut 3 texts of 'query' to 4 bytes; "
            "cut 3 texts of 'document' to 4 bytes");
}

TEST(Pairs, HoldWhatEveryDataSetMust) {
  const Folder folder;
  write_pairs(folder);
  test::expect_conforms("pairs", folder.path());
}

TEST(Pairs, RefuseDamagedLinesNamingThem) {
  const auto train = [](const std::string& text) {
    return [=](const Folder& f) { f.write("train.jsonl", bytes_of(text)); };
  };
  const std::string good = "{\"query\": \"\", \"document\": \"\"}\n";
  test::expect_messages(
      {{"an array", train(good + "[1, 2]\n"),
        "5 FOLDER/train.jsonl:2: the value is '[1, 2]', allowed: an object, {\"query\": ...}."},
       {"a number for a text", train(good + good + "{\"query\": 1.5, \"document\": \"\"}\n"),
        "5 FOLDER/train.jsonl:3: query is '1.5', allowed: a text."},
       {"nothing for a text", train("{\"query\": null, \"document\": \"\"}\n"),
        "5 FOLDER/train.jsonl:1: query is 'null', allowed: a text."},
       {"a column of another name", train(good + "{\"query\": \"\", \"documents\": \"\"}\n"),
        "5 FOLDER/train.jsonl:2: no column 'document'. Known columns: documents, query. "
        "Did you mean 'documents'?"},
       {"a key twice", train("{\"query\": \"\", \"query\": \"\", \"document\": \"\"}\n"),
        "5 FOLDER/train.jsonl:1: duplicate key \"query\""},
       {"another encoding", train("{\"query\": \"\xE9\", \"document\": \"\"}\n"),
        "5 FOLDER/train.jsonl:1: byte 12 of the line is 0xe9, which is not UTF-8."},
       {"no row", train("\n \n"), "5 FOLDER/train.jsonl: holds no row."},
       {"two files of a split", [](const Folder& f) { f.write("train.tsv.gz", {}); },
        "5 FOLDER/train.jsonl: train.tsv.gz stands beside it, and a split has one file."},
       {"no training rows", [](const Folder& f) { std::filesystem::remove(f / "train.jsonl"); },
        "5 FOLDER: no train.jsonl or train.tsv in it, nor with .gz."},
       {"a packed file that was cut",
        [](const Folder& f) { f.write("test.jsonl.gz", test::cut(gzip(bytes_of(kTest)), 40)); },
        "5 FOLDER/test.jsonl.gz: unexpected end of file."}},
      write_pairs, [](const Folder& f) { Pairs(options_of(f.path())); });
  const Folder folder;
  folder.write("train.jsonl", bytes_of(good + "{\"query\": \"a\"\n"));
  const std::string got = error_of([&] { Pairs(options_of(folder.path())); });
  EXPECT_TRUE(got.starts_with("5 " + (folder / "train.jsonl") + ":2: not JSON: ")) << got;
}

TEST(Pairs, RefuseOptionsThatNameNoData) {
  const auto with = [](const std::function<void(Pairs::Options&)>& change) {
    Pairs::Options options = options_of("/nowhere");
    change(options);
    return error_of([&] { Pairs{options}; });
  };
  EXPECT_EQ(with([](Pairs::Options& o) { o.path = ""; }),
            "2 path = \"\", allowed: the folder of the files, or that of the training rows as train.");
  EXPECT_EQ(with([](Pairs::Options& o) { o.columns = {}; }),
            "2 columns = [], allowed: a list of one or more columns.");
  EXPECT_EQ(with([](Pairs::Options& o) {
              o.columns = {"a", "b", "a"};
            }),
            "2 columns = 'a' twice, allowed: each once.");
  EXPECT_EQ(with([](Pairs::Options& o) { o.train = "/nowhere/a.csv"; }),
            "5 /nowhere/a.csv: cannot be read, allowed: a file that ends in .jsonl or .tsv, also with .gz.");
}

class RealPairs : public ::testing::TestWithParam<std::string> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RealPairs);
INSTANTIATE_TEST_SUITE_P(FoilData, RealPairs, ::testing::ValuesIn(test::real("debian-descriptions")));

// Counts that another program made of the published files.
TEST_P(RealPairs, AreThePublishedOnes) {
  Pairs::Options options = options_of(GetParam());
  options.max_bytes = 5000;
  const Pairs data(options);
  EXPECT_EQ(data.modalities()[0].shape.sizes, std::vector<int64_t>{348});
  EXPECT_EQ(data.modalities()[1].shape.sizes, std::vector<int64_t>{4170});
  struct Sums {
    Split split;
    int64_t size, query, document;
  };
  for (const auto& [split, size, query, document] : {Sums{Split::train, 30290, 1355826, 11015391},
                                                     {Split::validation, 3733, 166644, 1354481},
                                                     {Split::test, 3796, 171738, 1369406}}) {
    ASSERT_EQ(data.size(split), size);
    const Views views = data.read(split, torch::arange(size));
    EXPECT_EQ(views[0].length.sum().item<int64_t>(), query);
    EXPECT_EQ(views[1].length.sum().item<int64_t>(), document);
  }
  EXPECT_EQ(texts_of(data, Split::test, 0)[0], "convert an addressbook to VCARD file format");
}

}  // namespace
}  // namespace foil
