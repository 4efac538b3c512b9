// SPDX-License-Identifier: BSD-3-Clause
// Samples of tar shards: which they are, that they are those of the plain files, and what is left out.
#include "data/webdataset.h"

#include "conforms.h"
#include "data/image_folder.h"
#include "data/loader.h"
#include "data/record.h"
#include "data/uniform.h"
#include "pictures.h"
#include "tars.h"
#include "tests/support/run_python.h"

#include <torch/types.h>

namespace foil {
namespace {

using test::bytes_of;
using test::error_of;
using test::Folder;
using test::noise;
using test::tar;
using test::TarFile;

using Texts = std::vector<std::string>;

test::Bytes picture(uint32_t seed, int width = 4, int height = 6) {
  return test::png(width, height, PNG_COLOR_TYPE_RGB, 8,
                   noise(static_cast<size_t>(3 * width * height), seed));
}

// Seven training samples in two shards, two of the test split.
void write_shards(const Folder& folder) {
  std::vector<TarFile> first, second, test;
  for (int i = 0; i < 7; ++i) {
    std::vector<TarFile>& shard = i < 4 ? first : second;
    const std::string key = "000" + std::to_string(i);
    shard.push_back(
        {key + ".json", bytes_of("{\"caption\": \"json " + std::to_string(i) + "\", \"url\": \"u" +
                                 std::to_string(i / 2) + "\", \"more\": [null]}")});
    shard.push_back({key + ".png", picture(static_cast<uint32_t>(i + 1))});
    shard.push_back({key + ".txt", bytes_of(std::string(static_cast<size_t>(i), 'x') + " caption\n")});
    shard.push_back({key + ".cls", bytes_of(std::to_string(i % 3))});
  }
  for (int i = 0; i < 2; ++i) {
    const std::string key = "t/" + std::to_string(i);
    test.push_back({key + ".txt", bytes_of("gr\u00fc\u00df \u4e16\u754c")});
    test.push_back({key + ".JPG", picture(static_cast<uint32_t>(20 + i))});
    test.push_back({key + ".cls", bytes_of("3")});
    test.push_back({key + ".json", bytes_of("{\"caption\": 5, \"url\": \"\"}")});
  }
  folder.write("train/00000.tar", tar(first));
  folder.write("train/00001.tar", tar(second));
  folder.write("test/00000.tar", tar(test));
}

WebDataset::Options options_of(const Folder& folder) {
  WebDataset::Options options;
  options.path = folder.path();
  options.threads = 3;
  return options;
}

Texts texts_of(const WebDataset& data, Split split, size_t modality) {
  const View view = data.read(split, torch::arange(data.size(split)))[modality];
  Texts texts;
  for (int64_t b = 0; b < view.size(); ++b) texts.push_back(test::text_of(view, b));
  return texts;
}

TEST(WebDataset, SamplesAreTheKeysOfTheShardsInTheirOrder) {
  const Folder folder;
  write_shards(folder);
  WebDataset::Options options = options_of(folder);
  options.columns = {"image", "text", "title=json.caption"};
  options.label = "cls";
  options.group = "json.url";
  const WebDataset data(options);
  ASSERT_EQ(data.size(Split::train), 7);
  EXPECT_EQ(data.size(Split::validation), 0);
  ASSERT_EQ(data.size(Split::test), 2);
  ASSERT_EQ(data.modalities().size(), 3u);
  EXPECT_EQ(data.modalities()[0].shape.sizes, (std::vector<int64_t>{3, 6, 4}));
  EXPECT_EQ(data.modalities()[1].shape.sizes, std::vector<int64_t>{14}) << "xxxxxx caption";
  EXPECT_EQ(data.modalities()[2].name, "title");
  EXPECT_EQ(texts_of(data, Split::train, 1), (Texts{"caption", "x caption", "xx caption", "xxx caption",
                                                    "xxxx caption", "xxxxx caption", "xxxxxx caption"}));
  EXPECT_EQ(texts_of(data, Split::train, 2)[6], "json 6");
  EXPECT_EQ(texts_of(data, Split::test, 1), Texts(2, "gr\u00fc\u00df \u4e16\u754c"));
  EXPECT_EQ(texts_of(data, Split::test, 2), Texts(2, "5"));
  EXPECT_EQ(data.classes(), (Texts{"0", "1", "2", "3"}));
  EXPECT_TRUE(data.labels(Split::train).equal(torch::tensor({0, 1, 2, 0, 1, 2, 0}, torch::kLong)));
  EXPECT_TRUE(data.labels(Split::test).equal(torch::tensor({3, 3}, torch::kLong)));
  EXPECT_TRUE(data.groups(Split::train).equal(torch::tensor({0, 0, 1, 1, 2, 2, 3}, torch::kLong)));
  EXPECT_TRUE(data.groups(Split::test).equal(torch::tensor({-1, -1}, torch::kLong)));
  EXPECT_TRUE(data.remarks().empty());
}

// Mixed formats, of one size and of several.
TEST(WebDataset, PicturesAreThoseOfAnImageFolder) {
  for (const bool same_size : {true, false}) {
    SCOPED_TRACE(same_size);
    const Folder folder;
    std::vector<TarFile> shard;
    for (int i = 0; i < 6; ++i) {
      const int width = same_size ? 9 : 9 + i % 4;
      const bool is_jpeg = i % 2 == 1;
      const test::Bytes bytes = is_jpeg ? test::jpeg(width, 7, TJPF_RGB, test::gradient(width, 7))
                                        : picture(static_cast<uint32_t>(i + 1), width, 7);
      const std::string name = std::to_string(i) + (is_jpeg ? (i == 3 ? ".jpeg" : ".jpg") : ".png");
      folder.write("files/train/a/" + name, bytes);
      shard.push_back({name, bytes});
    }
    folder.write("train/0.tar", tar(shard));
    WebDataset::Options options = options_of(folder);
    options.columns = {"image"};
    const WebDataset data(options);
    const ImageFolder plain(ImageFolder::Options{folder / "files"});
    EXPECT_EQ(data.modalities()[0].shape.sizes, plain.modalities()[0].shape.sizes);
    const Tensor index = torch::tensor({5, 0, 3, 3, 1, 4, 2}, torch::kLong);
    const View got = data.read(Split::train, index)[0], want = plain.read(Split::train, index)[0];
    ASSERT_EQ(got.data.defined(), same_size);
    EXPECT_TRUE(!same_size || got.data.equal(want.data));
    ASSERT_EQ(got.ragged.size(), want.ragged.size());
    for (size_t b = 0; b < got.ragged.size(); ++b) EXPECT_TRUE(got.ragged[b].equal(want.ragged[b])) << b;
  }
}

// Long names and times with fractions, which need headers of their own, as the writers of webdataset make
// them.
const char* const kWriter = R"(
import io, sys, tarfile
folder = sys.argv[1]
for name, form in ("pax", tarfile.PAX_FORMAT), ("gnu", tarfile.GNU_FORMAT), ("ustar", tarfile.USTAR_FORMAT):
    with tarfile.open(f"{folder}/{name}.tar", "w", format=form) as archive:
        root = tarfile.TarInfo("deep")
        root.type = tarfile.DIRTYPE
        archive.addfile(root)
        for i in range(5):
            for extension in "txt", "json":
                key = f"deep/{'long' * (20 if form == tarfile.USTAR_FORMAT else 60)}/\u00fc{i}"
                text = f"{name} {i} \u4e16" * (i * 300) + "!"
                data = (text if extension == "txt" else '{"url": "u"}').encode()
                entry = tarfile.TarInfo(f"{key}.{extension}")
                entry.size = len(data)
                entry.mtime = 1700000000.25 + i if form == tarfile.PAX_FORMAT else 1700000000
                archive.addfile(entry, io.BytesIO(data))
                print(archive.offset - (len(data) + 511) // 512 * 512, len(data), sep="\t")
)";

TEST(WebDataset, MembersLieWherePythonPutThem) {
  const Folder folder;
  const std::string out = test::run_python(folder, kWriter, folder.path());
  std::istringstream lines(out);
  ShardOptions options;
  options.columns = {{"text", Kind::text, {"txt"}, ""}, {"url", Kind::text, {"json"}, "url"}};
  options.max_bytes = 1 << 20;
  for (const char* name : {"pax", "gnu", "ustar"}) {
    SCOPED_TRACE(name);
    const ShardIndex index = index_shards({folder / (std::string(name) + ".tar")}, options);
    ASSERT_EQ(index.samples(), 5);
    for (int64_t i = 0; i < 5; ++i) {
      for (const size_t column : {0, 1}) {
        int64_t offset = -1, size = -1;
        lines >> offset >> size;
        EXPECT_EQ(index.member(i, column).offset, offset) << i;
        EXPECT_EQ(index.member(i, column).size, size) << i;
      }
    }
    EXPECT_EQ(index.odd.any(), false) << "a folder is no member";
    const std::string place = place_in(index.shards[0], index.member(3, 0).offset);
    EXPECT_TRUE(place.ends_with("long/\u00fc3.txt")) << place;
  }
}

std::shared_ptr<Sampler> sampler(int64_t samples) {
  auto uniform = std::make_shared<Uniform>(Uniform::Options{});
  uniform->setup(5, 5, samples, Tensor());
  return uniform;
}

TEST(WebDataset, AnyNumberOfRanksSeesTheSameGlobalBatchesFromAnyStep) {
  const Folder folder;
  write_shards(folder);
  const auto data = std::make_shared<WebDataset>(options_of(folder));
  Loader whole(data, sampler(7), 0, 1, 0, 8);
  std::vector<Batch> wanted;
  for (int step = 0; step < 8; ++step) wanted.push_back(whole.next());
  for (const int64_t ranks : {1, 2, 3}) {
    for (const int64_t first : {0, 3}) {  // 3: a run that goes on
      std::vector<std::unique_ptr<Loader>> loaders;
      for (int64_t rank = 0; rank < ranks; ++rank)
        loaders.push_back(std::make_unique<Loader>(data, sampler(7), rank, ranks, first, 8));
      for (int64_t step = first; step < 8; ++step) {
        std::vector<Tensor> pixels, texts;
        for (const auto& loader : loaders) {
          const Batch batch = loader->next();
          pixels.push_back(batch.raw.at(0).data);
          texts.push_back(batch.raw.at(1).data);
        }
        const Batch& want = wanted[static_cast<size_t>(step)];
        EXPECT_TRUE(torch::cat(pixels).equal(want.raw.at(0).data)) << ranks << " ranks, step " << step;
        EXPECT_TRUE(torch::cat(texts).equal(want.raw.at(1).data)) << ranks << " ranks, step " << step;
      }
    }
  }
}

TEST(WebDataset, ShardsAreThoseOfAFolderOrOfBraces) {
  const Folder folder;
  write_shards(folder);
  folder.write("train/00000_stats.json", bytes_of("{}"));
  const WebDataset whole(options_of(folder));
  EXPECT_EQ(whole.remarks(), Texts{"left out 1 file beside the shards (00000_stats.json)"});
  WebDataset::Options options;
  options.train = folder / "train/{00000..00001}.tar";
  options.validation = folder / "test";
  const WebDataset named(options);
  EXPECT_EQ(texts_of(named, Split::train, 1), texts_of(whole, Split::train, 1));
  EXPECT_EQ(texts_of(named, Split::validation, 1), texts_of(whole, Split::test, 1));
  EXPECT_EQ(named.size(Split::test), 0);
  options.train = folder / "train/{00001,00000}.tar";
  EXPECT_EQ(texts_of(WebDataset(options), Split::train, 1)[0], "xxxx caption")
      << "in the order of the braces";
}

TEST(WebDataset, LeavesOutWhatIsNoSampleAndSaysSo) {
  const Folder folder;
  std::vector<TarFile> files = {{"a.jpg", picture(1)},
                                {"a.txt", bytes_of("kept")},
                                {"b.txt", bytes_of("no picture")},
                                {"c.jpg", picture(2)},
                                {"d.jpg", picture(3)},
                                {"d.txt", bytes_of(" \n")},
                                {"._e.jpg", picture(4)},
                                {"f.txt", {}, '2', "a.txt"},
                                {"no_extension", bytes_of("x")},
                                {"g.png", picture(5)},
                                {"g.txt", bytes_of("a longer text")}};
  folder.write("train/x.tar", tar(files));
  WebDataset::Options options = options_of(folder);
  options.max_bytes = 8;
  const WebDataset data(options);
  EXPECT_EQ(texts_of(data, Split::train, 1), (Texts{"kept", "a longer"}));
  EXPECT_EQ(data_line(data_record("webdataset", data)),
            "data: webdataset, 2 training samples, no test samples, no classes; "
            "left out 1 sample without 'image' (x.tar: b); left out 1 sample without 'text' (x.tar: c); "
            "left out 1 sample whose 'text' is empty (x.tar: d); "
            "left out 3 members of no sample (x.tar: ._e.jpg, x.tar: f.txt, x.tar: no_extension); "
            "cut 1 text of 'text' to 8 bytes");
}

TEST(WebDataset, AJsonNullIsNoText) {
  const Folder folder;
  folder.write("train/x.tar", tar({{"a.json", bytes_of("{\"caption\": null}")},
                                   {"b.json", bytes_of("{\"caption\": \" words \"}")}}));
  WebDataset::Options options = options_of(folder);
  options.columns = {"text=json.caption"};
  const WebDataset data(options);
  EXPECT_EQ(texts_of(data, Split::train, 0), Texts{"words"});
  EXPECT_EQ(data.remarks(), Texts{"left out 1 sample whose 'text' is empty (x.tar: a)"});
}

TEST(WebDataset, ClassesHaveTheNamesOfAFile) {
  const Folder folder;
  write_shards(folder);
  WebDataset::Options options = options_of(folder);
  options.label = "cls";
  options.class_names =
      folder.write("classnames.txt", bytes_of("tench\ngreat white shark\nhen\n\ncock\nkite\n"));
  EXPECT_EQ(WebDataset(options).classes(), (Texts{"tench", "great white shark", "hen", "cock", "kite"}));
  folder.write("classnames.txt", bytes_of("tench\n"));
  EXPECT_EQ(error_of([&] { WebDataset data(options); }),
            "5 " + (folder / "classnames.txt") +
                ": 1 class names, but a sample is of class 3; the first line names class 0.");
}

TEST(WebDataset, SaysThatPicturesLieOnTheirSide) {
  const Folder folder;
  const test::Bytes plain = test::jpeg(48, 40, TJPF_RGB, test::gradient(48, 40));
  folder.write("train/x.tar", tar({{"a.jpg", test::with_orientation(plain, 6, true)}, {"b.jpg", plain}}));
  WebDataset::Options options = options_of(folder);
  options.columns = {"image"};
  EXPECT_EQ(WebDataset(options).remarks(),
            Texts{"1 of the 2 images looked at have an EXIF orientation, which is not applied"});
}

TEST(WebDataset, HoldsWhatEveryDataSetMust) {
  const Folder folder;
  write_shards(folder);
  test::expect_conforms("webdataset", folder.path());
}

TEST(WebDataset, IdentityIsOfSamplesNotOfWhenTheyWerePacked) {
  const Folder folder;
  const auto identity = [&](const std::vector<TarFile>& files, unsigned long time = 0) {
    folder.write("train/x.tar", tar(files, time));
    return WebDataset(options_of(folder)).identity();
  };
  const std::vector<TarFile> files = {
      {"a.png", picture(1)}, {"a.txt", bytes_of("one")}, {"b.png", picture(2)}, {"b.txt", bytes_of("two")}};
  const std::string whole = identity(files);
  EXPECT_EQ(identity(files, 1'700'000'000), whole);
  const auto with = [&](size_t at, const TarFile& file) {
    std::vector<TarFile> changed = files;
    changed[at] = file;
    return identity(changed);
  };
  EXPECT_NE(with(0, {"a.png", picture(9)}), whole);
  EXPECT_NE(with(3, {"b.txt", bytes_of("tow")}), whole);
  EXPECT_NE(identity({files[2], files[3], files[0], files[1]}), whole);
}

}  // namespace
}  // namespace foil
