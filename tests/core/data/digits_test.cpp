// SPDX-License-Identifier: BSD-3-Clause
// The digits on a folder written here byte by byte, and on the real one where there is one.
#include "data/digits.h"

#include "bad_data.h"
#include "conforms.h"
#include "data/record.h"

#include <torch/types.h>

#include <map>

namespace foil {
namespace {

using test::big_endian;
using test::Bytes;
using test::bytes_of;
using test::Folder;
using test::gzip;
using test::idx;
using test::noise;

constexpr uint8_t kShorts = 0x0B, kInts = 0x0C;

// Six rows: images of 2x3, recordings of at most 4 samples. Rows 0, 2 and 3 are for training, 4 for
// validation, 1 and 5 for the test.
const std::vector<int32_t> kWaves = {1,     -2,     0,  0,  //
                                     300,   0,      0,  0,  //
                                     -300,  5,      6,  7,  //
                                     0,     9,      0,  0,  //
                                     32767, -32768, 1,  0,  //
                                     -1,    -1,     -1, -1};
const char* const kIndex =
    "row\tsplit\tspeaker\tdigit\ttext\n"
    "0\ttrain\ta\t7\tseven\n"
    "1\ttest\ta\t0\tz\u00e9ro\n"
    "2\ttrain\tb\t0\tzero\n"
    "3\ttrain\tb\t9\t\n"
    "4\tvalidation\tb\t7\tsete\n"
    "5\ttest\tb\t3\tthree\n";

void write_digits(const Folder& folder) {
  folder.write("images-idx3-ubyte.gz", gzip(idx({6, 2, 3}, noise(36))));
  folder.write("audio-idx2-short.gz", gzip(idx({6, 4}, big_endian(kWaves, 2), kShorts)));
  folder.write("audio-lengths-idx1-int", idx({6}, big_endian({2, 1, 4, 3, 3, 4}, 4), kInts));
  folder.write("labels-idx1-ubyte", idx({6}, {7, 0, 0, 9, 7, 3}));
  folder.write("index.tsv", bytes_of(kIndex));
}

TEST(Digits, AreThreeModalitiesOfTheSameRowsInTheSplitsOfTheIndex) {
  const Folder folder;
  write_digits(folder);
  const Digits data(Digits::Options{folder.path()});
  EXPECT_EQ(data.size(Split::train), 3);
  EXPECT_EQ(data.size(Split::validation), 1);
  EXPECT_EQ(data_line(data_record("digits", data)),
            "data: digits, 3 training samples, 1 validation sample, 2 test samples, 10 classes");
  EXPECT_EQ(data.size(Split::test), 2);
  const std::vector<Modality> modalities = data.modalities();
  ASSERT_EQ(modalities.size(), 3u);
  EXPECT_EQ(modalities[0].shape.sizes, (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(modalities[1].shape.sizes, (std::vector<int64_t>{4}));
  EXPECT_EQ(modalities[1].shape.range, 8000);
  EXPECT_EQ(modalities[2].shape.sizes, (std::vector<int64_t>{5})) << "the longest text, in bytes";
  EXPECT_EQ(modalities[2].shape.range, 256);

  const Bytes pixels = noise(36);
  const std::map<Split, std::vector<int64_t>> rows = {
      {Split::train, {0, 2, 3}}, {Split::validation, {4}}, {Split::test, {1, 5}}};
  const std::vector<std::string> texts = {"seven", "z\u00e9ro", "zero", "", "sete", "three"};
  const std::vector<int64_t> lengths = {2, 1, 4, 3, 3, 4}, digits = {7, 0, 0, 9, 7, 3};
  for (const auto& [split, of] : rows) {
    const Views views = data.read(split, torch::arange(std::ssize(of)));
    ASSERT_EQ(views.size(), 3u);
    for (size_t b = 0; b < of.size(); ++b) {
      const auto row = static_cast<size_t>(of[b]);
      const auto at = static_cast<int64_t>(b);
      const Tensor image = views[0].data[at].flatten(), wave = views[1].data[at];
      for (size_t i = 0; i < 6; ++i) EXPECT_EQ(image[i].item<uint8_t>(), pixels[6 * row + i]);
      for (size_t i = 0; i < 4; ++i) EXPECT_EQ(wave[i].item<int16_t>(), kWaves[4 * row + i]) << row;
      EXPECT_EQ(views[1].length[at].item<int64_t>(), lengths[row]);
      EXPECT_EQ(test::text_of(views[2], at), texts[row]);
      EXPECT_EQ(data.labels(split)[at].item<int64_t>(), digits[row]);
    }
    EXPECT_TRUE(data.groups(split).equal(data.labels(split))) << "retrieval is by digit";
  }
}

TEST(Digits, HoldWhatEveryDataSetMust) {
  const Folder folder;
  write_digits(folder);
  test::expect_conforms("digits", folder.path());
}

std::string index_with(const std::string& from, const std::string& to) {
  std::string text = kIndex;
  text.replace(text.find(from), from.size(), to);
  return text;
}

TEST(Digits, RefuseDamagedFilesNamingThePlace) {
  const auto lengths = [](const std::vector<int32_t>& numbers) {
    return [=](const Folder& f) {
      f.write("audio-lengths-idx1-int",
              idx({static_cast<uint32_t>(numbers.size())}, big_endian(numbers, 4), kInts));
    };
  };
  const auto index = [](const std::string& text) {
    return [=](const Folder& f) { f.write("index.tsv", bytes_of(text)); };
  };
  test::expect_messages(
      {{"a recording too few",
        [](const Folder& f) {
          f.write("audio-idx2-short.gz", gzip(idx({5, 4}, Bytes(40), kShorts)));
        },
        "5 FOLDER/audio-idx2-short.gz: 5 recordings, but FOLDER/images-idx3-ubyte.gz holds 6 images."},
       {"recordings in bytes",
        [](const Folder& f) {
          f.write("audio-idx2-short.gz", gzip(idx({6, 4}, Bytes(24))));
        },
        "5 FOLDER/audio-idx2-short.gz: starts with 00 00 08 02, expected for recordings: 00 00 0b 02."},
       {"recordings that end early",
        [](const Folder& f) {
          f.write("audio-idx2-short.gz", gzip(idx({6, 4}, Bytes(43), kShorts)));
        },
        "5 FOLDER/audio-idx2-short.gz: 6 recordings expected, the file ends after 5."},
       {"a length too many", lengths({2, 1, 4, 3, 3, 4, 1}),
        "5 FOLDER/audio-lengths-idx1-int: 7 lengths, but FOLDER/images-idx3-ubyte.gz holds 6 images."},
       {"a length beyond the recording", lengths({2, 1, 4, 3, 5, 4}),
        "5 FOLDER/audio-lengths-idx1-int: length 5 of row 4, allowed: 1 to 4."},
       {"a length below zero", lengths({2, -1, 4, 3, 3, 4}),
        "5 FOLDER/audio-lengths-idx1-int: length -1 of row 1, allowed: 1 to 4."},
       {"sound behind a length", lengths({2, 1, 2, 3, 3, 4}),
        "5 FOLDER/audio-idx2-short.gz: sample 2 of row 2 is 6, allowed: 0, as the recording has 2 samples."},
       {"a label that is no digit",
        [](const Folder& f) {
          f.write("labels-idx1-ubyte", idx({6}, {7, 0, 0, 10, 7, 3}));
        },
        "5 FOLDER/labels-idx1-ubyte: label 10 of row 3, allowed: 0 to 9."},
       {"a label of another digit",
        [](const Folder& f) {
          f.write("labels-idx1-ubyte", idx({6}, {7, 0, 0, 9, 8, 3}));
        },
        "5 FOLDER/index.tsv:6: digit is '7', allowed: 8, the label of this row in FOLDER/labels-idx1-ubyte."},
       {"an unknown split", index(index_with("validation", "dev")),
        "5 FOLDER/index.tsv:6: split is 'dev', allowed: train, validation, test."},
       {"a missing column", index(index_with("\ttext\n", "\ttexts\n")),
        "5 FOLDER/index.tsv:1: no column 'text'. Known columns: row, split, speaker, digit, texts. "
        "Did you mean 'texts'?"},
       {"too few cells", index(index_with("3\ttrain\tb\t9\t\n", "3\ttrain\tb\t9\n")),
        "5 FOLDER/index.tsv:5: 4 cells, allowed: 5, one for each column of the header."},
       {"a text that is not UTF-8", index(index_with("\u00e9", "\xE9")),
        "5 FOLDER/index.tsv:3: byte 13 of the line is 0xe9, which is not UTF-8."},
       {"rows in another order", index(index_with("2\ttrain", "3\ttrain")),
        "5 FOLDER/index.tsv:4: row is '3', allowed: 2."},
       {"a row too few", index(index_with("5\ttest\tb\t3\tthree\n", "")),
        "5 FOLDER/index.tsv:6: ends after 5 rows, but FOLDER/images-idx3-ubyte.gz holds 6."},
       {"a row too many", index(std::string(kIndex) + "6\ttest\tb\t3\tthree\n"),
        "5 FOLDER/index.tsv:8: a row more than the 6 of FOLDER/images-idx3-ubyte.gz."},
       {"no index", [](const Folder& f) { std::filesystem::remove(f / "index.tsv"); },
        "5 FOLDER/index.tsv: cannot be opened: No such file or directory."},
       {"no recordings", [](const Folder& f) { std::filesystem::remove(f / "audio-idx2-short.gz"); },
        "5 digits: no audio-idx2-short[.gz] in FOLDER. "
        "To get it: images, recordings and index.tsv of the digits in one folder; "
        "or set data.path, or FOIL_DATA to the folder that holds digits-trimodal/."}},
      write_digits, [](const Folder& f) { Digits(Digits::Options{f.path()}); });
}

TEST(Digits, WithoutATrainingRowAreRefused) {
  const Folder folder;
  write_digits(folder);
  std::string text = kIndex;
  for (size_t at; (at = text.find("train")) != text.npos;) text.replace(at, 5, "test");
  folder.write("index.tsv", bytes_of(text));
  EXPECT_EQ(test::error_of([&] { Digits(Digits::Options{folder.path()}); }),
            "5 " + (folder / "index.tsv") + ":7: no row is of the split train.");
}

class RealDigits : public ::testing::TestWithParam<std::string> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RealDigits);
INSTANTIATE_TEST_SUITE_P(FoilData, RealDigits, ::testing::ValuesIn(test::real("digits-trimodal")));

// Sums that another program made of the published files.
TEST_P(RealDigits, AreThePublishedOnes) {
  const Digits data(Digits::Options{GetParam()});
  struct Sums {
    Split split;
    int64_t size, pixels, sound, length;
  };
  for (const auto& [split, size, pixels, sound, length] :
       {Sums{Split::train, 1800, 47410679, 1393597, 6764565},
        {Split::validation, 200, 5257496, -270715, 764913},
        {Split::test, 1000, 24889073, -333907970, 2932657}}) {
    ASSERT_EQ(data.size(split), size);
    const Views views = data.read(split, torch::arange(size));
    EXPECT_EQ(views[0].data.sum(torch::kLong).item<int64_t>(), pixels);
    EXPECT_EQ(views[1].data.sum(torch::kLong).item<int64_t>(), sound);
    EXPECT_EQ(views[1].length.sum().item<int64_t>(), length);
    EXPECT_TRUE(data.labels(split).bincount().equal(torch::full({10}, size / 10, torch::kLong)));
  }
  EXPECT_EQ(data.modalities()[2].shape.sizes, std::vector<int64_t>{28});
  EXPECT_EQ(test::text_of(data.read(Split::test, torch::tensor({999}, torch::kLong))[2], 0),
            "este \u00e9 o n\u00famero nove");
  EXPECT_EQ(data.labels(Split::test)[999].item<int64_t>(), 9);
}

}  // namespace
}  // namespace foil
