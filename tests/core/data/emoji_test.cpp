// SPDX-License-Identifier: BSD-3-Clause
// The emoji on a folder written here byte by byte, and on the real one where there is one.
#include "data/emoji.h"

#include "bad_data.h"
#include "conforms.h"

#include <torch/types.h>

namespace foil {
namespace {

using test::Bytes;
using test::bytes_of;
using test::Folder;
using test::gzip;
using test::idx;
using test::noise;

const char* const kIndex =
    "row\tsplit\tfamily\tcore\tname_en\tkeywords_en\tname_ja\tkeywords_ja\n"
    "0\ttest\t0\t1\thash\tpound|number sign\t\u4e95\t\u8a18\u53f7\n"
    "1\ttrain\t1\t0\thand: dark\thand\t\u624b\t\n"
    "2\ttrain\t2\t1\ta|b\tx\t\u6728\t\u6728|\u68ee\n"
    "3\ttest\t0\t0\thash: light\tpound\t\u4e95\t\u8a18\u53f7\n"
    "4\tvalidation\t3\t1\tsun\tday\t\u65e5\t\u65e5\n";

void write_emoji(const Folder& folder) {
  folder.write("images-idx4-ubyte.gz", gzip(idx({5, 3, 2, 2}, noise(60))));
  folder.write("index.tsv", bytes_of(kIndex));
}

// Those of "en" and "ja" from the folder.
Emoji::Options options_of(const std::string& folder) {
  Emoji::Options options;
  options.path = folder;
  options.languages = {"en", "ja"};
  return options;
}

std::vector<std::string> texts_of(const Emoji& data, Split split, size_t modality) {
  const View view = data.read(split, torch::arange(data.size(split)))[modality];
  std::vector<std::string> texts;
  for (int64_t b = 0; b < view.size(); ++b) texts.push_back(test::text_of(view, b));
  return texts;
}

using Texts = std::vector<std::string>;

TEST(Emoji, AreAPictureAndANameInEachLanguage) {
  const Folder folder;
  write_emoji(folder);
  Emoji::Options options = options_of(folder.path());
  options.languages = {"ja", "en"};
  const Emoji data(options);
  ASSERT_EQ(data.modalities().size(), 3u);
  EXPECT_EQ(data.modalities()[0].shape.sizes, (std::vector<int64_t>{3, 2, 2}));
  EXPECT_EQ(data.modalities()[1].name, "name_ja");
  EXPECT_EQ(data.modalities()[2].name, "name_en");
  EXPECT_EQ(data.modalities()[2].shape.sizes, std::vector<int64_t>{11}) << "over all splits";
  EXPECT_EQ(texts_of(data, Split::train, 1), (Texts{"\u624b", "\u6728"}));
  EXPECT_EQ(texts_of(data, Split::test, 2), (Texts{"hash", "hash: light"}));
  EXPECT_EQ(texts_of(data, Split::validation, 2), Texts{"sun"});
  const Bytes pixels = noise(60);
  const Tensor third = data.read(Split::train, torch::tensor({1}, torch::kLong))[0].data.flatten();
  for (int64_t i = 0; i < 12; ++i) EXPECT_EQ(third[i].item<uint8_t>(), pixels[static_cast<size_t>(24 + i)]);
  EXPECT_FALSE(data.labels(Split::train).defined());
  EXPECT_FALSE(data.groups(Split::train).defined()) << "a row matches itself alone";
}

TEST(Emoji, KeywordsFollowTheNameThatStaysAsItIs) {
  const Folder folder;
  write_emoji(folder);
  Emoji::Options options = options_of(folder.path());
  options.keywords = true;
  const Emoji data(options);
  EXPECT_EQ(texts_of(data, Split::train, 1), (Texts{"hand: dark hand", "a|b x"}));
  EXPECT_EQ(texts_of(data, Split::train, 2), (Texts{"\u624b ", "\u6728 \u6728 \u68ee"}));
  EXPECT_EQ(texts_of(data, Split::test, 1), (Texts{"hash pound number sign", "hash: light pound"}));
}

TEST(Emoji, WithoutSkinTonesAreWhatTheMeasuredSplitsOrAllHold) {
  const Folder folder;
  write_emoji(folder);
  Emoji::Options options = options_of(folder.path());
  options.core = true;
  EXPECT_EQ(texts_of(Emoji(options), Split::test, 1), Texts{"hash"});
  EXPECT_EQ(Emoji(options).size(Split::train), 2);
  options.core_training = true;
  EXPECT_EQ(texts_of(Emoji(options), Split::train, 1), Texts{"a|b"});
}

TEST(Emoji, HoldWhatEveryDataSetMust) {
  const Folder folder;
  write_emoji(folder);
  std::string all = kIndex;  // the six languages of the defaults
  for (const char* language : {"de", "es", "fr", "ru"}) {
    size_t row = 0;
    for (size_t at = 0; (at = all.find('\n', at)) != all.npos; ++row) {
      const std::string name = row == 0 ? std::string("name_") + language : language + std::to_string(row);
      const std::string more = "\t" + name + "\t" + (row == 0 ? std::string("keywords_") + language : "k");
      all.insert(at, more);
      at += more.size() + 1;
    }
  }
  folder.write("index.tsv", bytes_of(all));
  test::expect_conforms("emoji", folder.path());
}

TEST(Emoji, RefuseDamageAndWrongOptionsNamingThePlace) {
  const auto index_with = [](const std::string& from, const std::string& to) {
    return [=](const Folder& f) {
      std::string text = kIndex;
      text.replace(text.find(from), from.size(), to);
      f.write("index.tsv", bytes_of(text));
    };
  };
  test::expect_messages(
      {{"a picture too few",
        [](const Folder& f) {
          f.write("images-idx4-ubyte.gz", gzip(idx({4, 3, 2, 2}, noise(48))));
        },
        "5 FOLDER/index.tsv:6: a row more than the 4 of FOLDER/images-idx4-ubyte.gz."},
       {"a language that is not there", index_with("name_ja", "name_jp"),
        "5 FOLDER/index.tsv:1: no column 'name_ja'. Known columns: row, split, family, core, name_en, "
        "keywords_en, name_jp, keywords_ja. Did you mean 'name_jp'?"},
       {"a core that is neither", index_with("3\ttest\t0\t0", "3\ttest\t0\t2"),
        "5 FOLDER/index.tsv:5: core is '2', allowed: an integer from 0 to 1."},
       {"an unknown split", index_with("validation", "val"),
        "5 FOLDER/index.tsv:6: split is 'val', allowed: train, validation, test."}},
      write_emoji, [](const Folder& f) { Emoji(options_of(f.path())); });
  const Folder folder;
  write_emoji(folder);
  Emoji::Options options = options_of(folder.path());
  options.languages = {"en", "en"};
  EXPECT_EQ(test::error_of([&] { Emoji{options}; }), "2 languages = 'en' twice, allowed: each once.");
  options.languages = {};
  EXPECT_EQ(test::error_of([&] { Emoji{options}; }),
            "2 languages = [], allowed: a list of one or more languages.");
}

class RealEmoji : public ::testing::TestWithParam<std::string> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RealEmoji);
INSTANTIATE_TEST_SUITE_P(FoilData, RealEmoji, ::testing::ValuesIn(test::real("emoji-multilingual")));

// Sums that another program made of the published files.
TEST_P(RealEmoji, AreThePublishedOnes) {
  Emoji::Options options;
  options.path = GetParam();
  const Emoji all(options);
  EXPECT_EQ(all.size(Split::train), 2500);
  EXPECT_EQ(all.size(Split::validation), 350);
  EXPECT_EQ(all.size(Split::test), 670);
  options.core = true;
  options.keywords = true;
  const Emoji core(options);
  EXPECT_EQ(core.size(Split::train), 2500);
  EXPECT_EQ(core.size(Split::validation), 165);
  ASSERT_EQ(core.size(Split::test), 320);
  const Views views = core.read(Split::test, torch::arange(320));
  EXPECT_EQ(views[0].data.sum(torch::kLong).item<int64_t>(), 196502183);
  const int64_t bytes[] = {18184, 23032, 18703, 26689, 38957, 22372};
  for (size_t m = 0; m < std::size(bytes); ++m)
    EXPECT_EQ(views[m + 1].length.sum().item<int64_t>(), bytes[m]) << views[m + 1].modality;
  EXPECT_EQ(test::text_of(views[1], 319), "palm down hand dismiss down drop dropped hand palm pick shoo up");
  options.core_training = true;
  EXPECT_EQ(Emoji(options).size(Split::train), 1160);
}

}  // namespace
}  // namespace foil
