// SPDX-License-Identifier: BSD-3-Clause
// Missing and damaged shards, and options that name none.
#include "bad_data.h"
#include "data/webdataset.h"
#include "pictures.h"
#include "tars.h"

#include <torch/types.h>

namespace foil {
namespace {

using test::Bytes;
using test::bytes_of;
using test::cut;
using test::error_of;
using test::expect_messages;
using test::Folder;
using test::tar;
using test::TarFile;

Bytes picture(int width = 4) {
  return test::png(width, 6, PNG_COLOR_TYPE_RGB, 8, test::noise(static_cast<size_t>(18 * width)));
}

const std::vector<TarFile> kGood = {{"a.png", picture()},
                                    {"a.txt", bytes_of("one")},
                                    {"a.json", bytes_of("{\"caption\": \"one\"}")},
                                    {"a.cls", bytes_of("0")},
                                    {"b.png", picture()},
                                    {"b.txt", bytes_of("two")},
                                    {"b.json", bytes_of("{\"caption\": \"two\"}")},
                                    {"b.cls", bytes_of("1\n")}};

WebDataset::Options options_of(const Folder& folder) {
  WebDataset::Options options;
  options.path = folder.path();
  options.columns = {"image", "text", "title=json.caption"};
  options.label = "cls";
  options.threads = 4;
  return options;
}

void write_shards(const Folder& folder) {
  folder.write("train/0.tar", tar(kGood));
  folder.write("train/1.tar", tar(kGood));
}

void use_shards(const Folder& folder) {
  const WebDataset data(options_of(folder));
  data.read(Split::train, torch::arange(data.size(Split::train)));
}

// The second shard, with one of its files replaced, or with more behind them.
std::function<void(const Folder&)> with(size_t at, const TarFile& file) {
  return [=](const Folder& folder) {
    std::vector<TarFile> files = kGood;
    at < files.size() ? files[at] = file : (files.push_back(file), files.back());
    folder.write("train/1.tar", tar(files));
  };
}
std::function<void(const Folder&)> as(const Bytes& bytes) {
  return [=](const Folder& folder) { folder.write("train/1.tar", bytes); };
}

TEST(BadShards, ArchivesAreRefusedByName) {
  const Bytes good = tar(kGood);
  Bytes broken = good;
  broken[1024 + 3] ^= 1;  // in the second header
  Bytes twice = good;
  twice.insert(twice.end(), good.begin(), good.end());
  expect_messages(
      {{"a packed shard", as(test::gzip(good)),
        "5 FOLDER/train/1.tar: is compressed (gzip), and a sample is read where it lies; unpack it first "
        "(gunzip)."},
       {"a packed shard by its name", [&](const Folder& f) { f.write("train/1.tar.gz", test::gzip(good)); },
        "5 FOLDER/train/1.tar.gz: is compressed (gzip), and a sample is read where it lies; unpack it first "
        "(gunzip)."},
       {"a shard cut within a member", as(cut(good, 1537)),
        "5 FOLDER/train/1.tar: a.txt: has 3 bytes from byte 1536 on, but the archive ends at byte 1537: it "
        "was cut off."},
       {"a shard cut behind a sample", as(tar(kGood, 0, false)),
        "5 FOLDER/train/1.tar: ends without the two empty blocks of a whole archive, behind b.cls: it was "
        "cut "
        "off, or is still being written."},
       {"a broken header", as(broken),
        "5 FOLDER/train/1.tar: broken tar archive behind a.png: Damaged tar archive."},
       {"two archives in one file", as(twice),
        "5 FOLDER/train/1.tar: goes on behind its end, at byte 9216: two archives in one file are not read."},
       {"no archive", as(bytes_of(std::string(2000, 'x'))),
        "5 FOLDER/train/1.tar: is no tar archive: Unrecognized archive format."},
       {"an empty file", as({}), "5 FOLDER/train/1.tar: is no tar archive: Unrecognized archive format."},
       {"no training shards", [](const Folder& f) { std::filesystem::remove_all(f / "train"); },
        "5 FOLDER/train: no such folder; shards that lie elsewhere are named by data.train."},
       {"no shard in the folder",
        [](const Folder& f) {
          for (const char* name : {"train/0.tar", "train/1.tar"}) std::filesystem::remove(f / name);
        },
        "5 FOLDER/train: no .tar file in it."}},
      write_shards, use_shards);
}

TEST(BadShards, AMemberWithHolesIsRefused) {
  const Folder folder;
  std::filesystem::create_directories(folder / "train");
  const std::string command =
      "cd " + folder.path() + " && truncate -s 1M a.txt && tar --sparse -cf train/0.tar a.txt";
  ASSERT_EQ(std::system(command.c_str()), 0);
  WebDataset::Options options;
  options.path = folder.path();
  EXPECT_EQ(error_of([&] { WebDataset data(options); }),
            "5 " + (folder / "train/0.tar") +
                ": a.txt: is sparse, so that its bytes do not lie together. Pack it without --sparse.");
}

TEST(BadShards, MembersAreRefusedByShardAndName) {
  Bytes damaged = picture();
  damaged[60] ^= 0x5A;
  expect_messages(
      {{"members of a key that are apart", with(9, {"a.jpg", picture()}),
        "5 FOLDER/train/1.tar: a.jpg: the key 'a' comes again behind others; the members of a key must stand "
        "together, and no two samples have one."},
       {"a member twice", with(5, {"b.jpg", picture()}),
        "5 FOLDER/train/1.tar: b.jpg: the key 'b' has a member for 'image' already."},
       {"a caption in another encoding", with(5, {"b.txt", bytes_of("caf\xe9")}),
        "5 FOLDER/train/1.tar: b.txt: byte 4 of the text is 0xe9, which is not UTF-8."},
       {"a field of another name", with(6, {"b.json", bytes_of("{\"captions\": \"two\"}")}),
        "5 FOLDER/train/1.tar: b.json: no column 'caption'. Known columns: captions. Did you mean "
        "'captions'?"},
       {"a number for a text", with(6, {"b.json", bytes_of("{\"caption\": 1.5}")}),
        "5 FOLDER/train/1.tar: b.json: caption is '1.5', allowed: a text."},
       {"no object", with(6, {"b.json", bytes_of("[1]")}),
        "5 FOLDER/train/1.tar: b.json: the value is '[1]', allowed: an object, {\"caption\": ...}."},
       {"a word for a label", with(7, {"b.cls", bytes_of("dog")}),
        "5 FOLDER/train/1.tar: b.cls: the label is 'dog', allowed: an integer from -1 (none) to 999999."},
       {"a label beyond all classes", with(7, {"b.cls", bytes_of("1000000")}),
        "5 FOLDER/train/1.tar: b.cls: the label is '1000000', allowed: an integer from -1 (none) to 999999."},
       {"a damaged picture", with(4, {"b.png", damaged}),
        "5 FOLDER/train/1.tar: b.png: broken PNG: IDAT: incorrect data check."},
       {"text under a picture's name", with(4, {"b.png", bytes_of("no picture, but a text")}),
        "5 FOLDER/train/1.tar: b.png: neither a JPEG nor a PNG file (22 bytes)."}},
      write_shards, use_shards);
}

TEST(BadShards, AnUnreadablePictureAmongDifferentSizesIsNamedWhenRead) {
  const Folder folder;
  write_shards(folder);
  with(0, {"a.png", picture(5)})(folder);
  folder.write("train/2.tar", tar({{"c.png", bytes_of("no picture, but a text")},
                                   {"c.txt", bytes_of("x")},
                                   {"c.json", bytes_of("{\"caption\": \"x\"}")},
                                   {"c.cls", bytes_of("0")}}));
  const WebDataset data(options_of(folder));
  EXPECT_EQ(data.read(Split::train, torch::arange(4))[0].ragged.size(), 4u);
  EXPECT_EQ(error_of([&] { data.read(Split::train, torch::tensor({4}, torch::kLong)); }),
            "5 " + (folder / "train/2.tar") + ": c.png: neither a JPEG nor a PNG file (22 bytes).");
}

TEST(BadShards, AShardThatChangedUnderARunIsNamed) {
  const Folder folder;
  write_shards(folder);
  const WebDataset data(options_of(folder));
  const auto read = [&] {
    return error_of([&] { data.read(Split::train, torch::tensor({2}, torch::kLong)); });
  };
  with(0, {"a.png", picture(3)})(folder);
  EXPECT_EQ(read(), "5 " + (folder / "train/1.tar") + ": a.png: 6x3, but it was 6x4 when the run started.");
  folder.write("train/1.tar", {});
  EXPECT_EQ(read(), "5 " + (folder / "train/1.tar") + ": ends before byte 512; " +
                        std::to_string(picture().size()) + " more bytes are expected.");
}

TEST(BadShards, WithoutASampleWhatIsThereIsNamed) {
  const Folder folder;
  folder.write("train/0.tar", tar({{"a.webp", bytes_of("x")}, {"a.txt", bytes_of("x")}}));
  WebDataset::Options options;
  options.path = folder.path();
  EXPECT_EQ(error_of([&] { WebDataset data(options); }),
            "5 " + (folder / "train/0.tar") +
                ": no sample in it: none has all of 'image', 'text'; members are .txt, .webp.");
  folder.write("train/0.tar", tar({{"a.jpg", picture()}, {"a.txt", bytes_of(" ")}}));
  folder.write("train/1.tar", tar({}));
  EXPECT_EQ(
      error_of([&] { WebDataset data(options); }),
      "5 " + (folder / "train/0.tar") +
          " and the other shards: no sample in it: none has all of 'image', 'text', with a text that is not "
          "empty; members are .jpg, .txt.");
}

TEST(BadShards, AnAbsentOneIsNamedWithItsPlaceAmongAll) {
  const Folder folder;
  write_shards(folder);
  WebDataset::Options options;
  options.train = folder / "train/{0..3}.tar";
  EXPECT_EQ(error_of([&] { WebDataset data(options); }),
            "5 " + (folder / "train/2.tar") + ": no such file; it is shard 3 of the 4 of data.train = '" +
                options.train + "'.");
  options.train = folder / "train/7.tar";
  EXPECT_EQ(error_of([&] { WebDataset data(options); }), "5 " + (folder / "train/7.tar") + ": no such file.");
}

TEST(BadShards, OptionsThatNameNoDataAreRefused) {
  const Folder folder;
  write_shards(folder);
  const auto refusal = [&](const std::function<void(WebDataset::Options&)>& change) {
    WebDataset::Options options = options_of(folder);
    change(options);
    return error_of([&] { WebDataset data(options); });
  };
  EXPECT_EQ(refusal([](auto& o) { o.path = ""; }),
            "2 path = \"\", allowed: the folder of the shards, or the training shards as train.");
  EXPECT_EQ(refusal([](auto& o) { o.columns = {}; }),
            "2 columns = [], allowed: a list of one or more columns.");
  EXPECT_EQ(refusal([](auto& o) {
              o.columns = {"image", "image=jpg"};
            }),
            "2 columns = 'image' twice, allowed: each once.");
  for (const char* column : {"audio", "x=npy", "=jpg", "x=", "x=json"})
    EXPECT_EQ(
        refusal([&](auto& o) { o.columns = {column}; }),
        "2 columns = '" + std::string(column) +
            "', allowed: image, text, or NAME=MEMBER, where MEMBER ends in jpg, jpeg, png or txt, or is "
            "json.FIELD.");
  EXPECT_EQ(refusal([](auto& o) { o.label = "jpg"; }),
            "2 label = 'jpg', allowed: a member that holds a text.");
  EXPECT_EQ(refusal([](auto& o) {
              o.label = "";
              o.class_names = "names.txt";
            }),
            "2 class_names = 'names.txt', allowed: \"\" without data.label.");
  folder.write("train/0.tar", tar({{"a.png", picture()}, {"a.cls", bytes_of("-1")}}));
  std::filesystem::remove(folder / "train/1.tar");
  EXPECT_EQ(refusal([](auto& o) { o.columns = {"image"}; }),
            "2 label = 'cls', allowed: a member that names a class: all are -1.");
}

}  // namespace
}  // namespace foil
