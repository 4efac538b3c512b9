// SPDX-License-Identifier: BSD-3-Clause
// Decoding and image folders, on pictures written here whose pixels are known.
#include "data/image_folder.h"

#include "data/decode.h"
#include "pictures.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <torch/types.h>

#include <set>

namespace foil {
namespace {

using test::Bytes;
using test::Folder;
using test::gradient;
using test::noise;

// Interleaved samples as [3, H, W].
Tensor planar(const Bytes& rgb, int64_t height, int64_t width) {
  return torch::from_blob(const_cast<uint8_t*>(rgb.data()), {height, width, 3}, torch::kByte)
      .permute({2, 0, 1})
      .contiguous();
}

Tensor decode(const std::string& path) {
  const ImageFile file(path, 1'000'000);
  Tensor out = torch::empty({3, file.size().height, file.size().width}, torch::kByte);
  file.decode(out.mutable_data_ptr<uint8_t>());
  return out;
}

int64_t largest_difference(const Tensor& a, const Tensor& b) {
  return (a.to(torch::kLong) - b.to(torch::kLong)).abs().max().item<int64_t>();
}

TEST(Decode, PngIsExact) {
  const Folder folder;
  const Bytes rgb = noise(3 * 5 * 7);
  EXPECT_TRUE(
      decode(folder.write("a.png", test::png(7, 5, PNG_COLOR_TYPE_RGB, 8, rgb))).equal(planar(rgb, 5, 7)));
}

TEST(Decode, GreyPngFillsThreeChannels) {
  const Folder folder;
  const Bytes grey = noise(5 * 7);
  const Tensor got = decode(folder.write("a.png", test::png(7, 5, PNG_COLOR_TYPE_GRAY, 8, grey)));
  const Tensor expected = torch::from_blob(const_cast<uint8_t*>(grey.data()), {5, 7}, torch::kByte);
  for (int64_t c = 0; c < 3; ++c) EXPECT_TRUE(got[c].equal(expected));
}

TEST(Decode, OneBitPngIsBlackAndWhite) {
  const Folder folder;
  const Tensor got =
      decode(folder.write("a.png", test::png(3, 2, PNG_COLOR_TYPE_GRAY, 1, {0b10100000, 0b01100000})));
  EXPECT_TRUE(got[1].equal(torch::tensor({{255, 0, 255}, {0, 255, 255}}, torch::kByte)));
}

TEST(Decode, AlphaIsDroppedNotBlended) {
  const Folder folder;
  const Bytes rgba = {10, 20, 30, 0, 40, 50, 60, 128, 70, 80, 90, 255};
  const Tensor got = decode(folder.write("a.png", test::png(3, 1, PNG_COLOR_TYPE_RGBA, 8, rgba)));
  EXPECT_TRUE(got.equal(planar({10, 20, 30, 40, 50, 60, 70, 80, 90}, 1, 3)));
}

TEST(Decode, SixteenBitsAreScaledToEight) {
  const Folder folder;
  const Bytes deep = {0x00, 0x00, 0x80, 0x80, 0xFF, 0xFF,
                      0x12, 0x34, 0x00, 0xFF, 0xFE, 0xFD};  // v * 255 / 65535, rounded
  const Tensor got = decode(folder.write("a.png", test::png(2, 1, PNG_COLOR_TYPE_RGB, 16, deep)));
  EXPECT_TRUE(got.equal(planar({0, 128, 255, 18, 1, 254}, 1, 2)));
}

TEST(Decode, PaletteIsLookedUp) {
  const Folder folder;
  const Tensor got = decode(
      folder.write("a.png", test::png(3, 1, PNG_COLOR_TYPE_PALETTE, 8, {1, 0, 1}, {{9, 8, 7}, {1, 2, 3}})));
  EXPECT_TRUE(got.equal(planar({1, 2, 3, 9, 8, 7, 1, 2, 3}, 1, 3)));
}

TEST(Decode, JpegIsNearlyThePicture) {
  const Folder folder;
  const Bytes rgb = gradient(37, 23);
  const Tensor got = decode(folder.write("a.jpg", test::jpeg(37, 23, TJPF_RGB, rgb, 100)));
  ASSERT_EQ(got.sizes(), (std::vector<int64_t>{3, 23, 37}));
  EXPECT_LE(largest_difference(got, planar(rgb, 23, 37)), 3);
}

TEST(Decode, GreyJpegFillsThreeChannels) {
  const Folder folder;
  const Tensor got = decode(folder.write("a.jpg", test::jpeg(9, 11, TJPF_GRAY, Bytes(99, 77))));
  EXPECT_LE(largest_difference(got, torch::full({3, 11, 9}, 77, torch::kByte)), 1);
}

TEST(Decode, CmykJpegIsTakenAsInverted) {
  const Folder folder;
  Bytes cmyk;
  for (int i = 0; i < 64; ++i) cmyk.insert(cmyk.end(), {200, 100, 50, 204});  // x * 204 / 255
  const Tensor got = decode(folder.write("a.jpg", test::jpeg(8, 8, TJPF_CMYK, cmyk)));
  const Tensor expected = torch::tensor({160, 80, 40}, torch::kByte).view({3, 1, 1}).expand({3, 8, 8});
  EXPECT_LE(largest_difference(got, expected), 3);
}

TEST(Decode, TheFirstBytesDecideNotTheName) {
  const Folder folder;
  const Bytes rgb = noise(3 * 4);
  EXPECT_TRUE(
      decode(folder.write("a.JPEG", test::png(2, 2, PNG_COLOR_TYPE_RGB, 8, rgb))).equal(planar(rgb, 2, 2)));
}

TEST(Decode, StrayBytesInAJpegAreNoError) {
  const Folder folder;
  Bytes bytes = test::jpeg(16, 16, TJPF_RGB, gradient(16, 16));
  bytes.insert(bytes.end() - 2, 5, 0x55);  // before the end marker
  EXPECT_EQ(decode(folder.write("a.jpg", bytes)).sizes(), (std::vector<int64_t>{3, 16, 16}));
}

int64_t peak_kilobytes() {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

// 100 texts of 7 MB each, in 700 kB: the default of libpng keeps them all.
TEST(Decode, TextsOfAPngAreNotExpanded) {
  const Folder folder;
  const Bytes rgb = noise(3 * 4);
  Bytes bytes = test::png(2, 2, PNG_COLOR_TYPE_RGB, 8, rgb);
  const Bytes zeros(7'000'000, 0);
  Bytes text(3 + compressBound(zeros.size()), 0);
  text[0] = 'k';  // keyword, zero, method 0
  uLongf size = text.size() - 3;
  ASSERT_EQ(compress(text.data() + 3, &size, zeros.data(), zeros.size()), Z_OK);
  text.resize(3 + size);
  const Bytes chunk = test::chunk("zTXt", text);
  for (int i = 0; i < 100; ++i)
    bytes.insert(bytes.begin() + 33, chunk.begin(), chunk.end());  // after the header
  const int64_t before = peak_kilobytes();
  EXPECT_TRUE(decode(folder.write("a.png", bytes)).equal(planar(rgb, 2, 2)));
  EXPECT_LT(peak_kilobytes() - before, 100'000);
}

TEST(Decode, TheOrientationOfAJpegIsReadAndNotApplied) {
  const Folder folder;
  const Bytes plain = test::jpeg(9, 11, TJPF_GRAY, Bytes(99, 77));
  EXPECT_EQ(exif_orientation(plain), 0);
  EXPECT_EQ(exif_orientation({}), 0);
  for (const bool big : {false, true}) {
    const Bytes turned = test::with_orientation(plain, 6, big);
    EXPECT_EQ(exif_orientation(turned), 6);
    EXPECT_EQ(decode(folder.write("a.jpg", turned)).sizes(), (std::vector<int64_t>{3, 11, 9}));
    for (size_t end = 0; end < turned.size();
         ++end) {  // cut anywhere, and with any byte wrong: no word, or another
      exif_orientation(Bytes(turned.begin(), turned.begin() + static_cast<long>(end)));
      Bytes wrong = turned;
      wrong[end] ^= 0xFF;
      exif_orientation(wrong);
    }
  }
}

// Two classes whose byte order differs from a locale's, nested and hidden files, all of one size.
struct Tree {
  Folder folder;
  Bytes pictures[5];
  explicit Tree(const std::string& test_name, bool same_size) {
    const char* names[] = {"train/Zebra/b.png", "train/Zebra/a.png", "train/ape/deep/c.PNG",
                           "train/ape/d.png", ""};
    const std::string last = test_name + "/ape/e.png";
    for (int i = 0; i < 5; ++i) {
      const int width = same_size ? 4 : 4 + i;
      pictures[i] = noise(static_cast<size_t>(3 * 6 * width), static_cast<uint32_t>(i));
      folder.write(i < 4 ? names[i] : last, test::png(width, 6, PNG_COLOR_TYPE_RGB, 8, pictures[i]));
    }
    folder.write("train/ape/notes.txt", {1});
    folder.write("train/.cache/x.png", {1});
  }
  Tensor picture(int i, bool same_size) const { return planar(pictures[i], 6, same_size ? 4 : 4 + i); }
};

std::vector<std::string> remarks(const ImageFolder& data) { return data.remarks(); }

TEST(ImageFolder, SortsClassesAndFilesByBytes) {
  for (const char* test_name : {"test", "val", "valid", "validation"}) {
    const Tree tree(test_name, true);
    const ImageFolder data(ImageFolder::Options{tree.folder.path(), false, 3});
    EXPECT_EQ(data.classes(), (std::vector<std::string>{"Zebra", "ape"}));
    EXPECT_TRUE(data.labels(Split::train).equal(torch::tensor({0, 0, 1, 1}, torch::kLong)));
    EXPECT_TRUE(data.labels(Split::test).equal(torch::tensor({1}, torch::kLong)));
    EXPECT_EQ(data.modalities().at(0).shape.sizes, (std::vector<int64_t>{3, 6, 4}));
    const Tensor got = data.read(Split::train, torch::tensor({3, 0, 1, 2, 0}, torch::kLong))[0].data;
    const int order[] = {2, 1, 0, 3, 1};  // a.png before b.png, ape/d.png before ape/deep/c.PNG
    for (int64_t b = 0; b < 5; ++b) EXPECT_TRUE(got[b].equal(tree.picture(order[b], true))) << b;
    EXPECT_TRUE(data.read(Split::test, torch::arange(1))[0].data[0].equal(tree.picture(4, true)));
  }
}

TEST(ImageFolder, ImagesOfDifferentSizesAreRagged) {
  const Tree tree("test", false);
  const ImageFolder data(ImageFolder::Options{tree.folder.path(), false, 3});
  EXPECT_EQ(data.modalities().at(0).shape.sizes, (std::vector<int64_t>{3, -1, -1}));
  const View view = data.read(Split::train, torch::tensor({2, 0}, torch::kLong))[0];
  EXPECT_FALSE(view.data.defined());
  ASSERT_EQ(view.ragged.size(), 2u);
  EXPECT_TRUE(view.ragged[0].equal(tree.picture(3, false)));
  EXPECT_TRUE(view.ragged[1].equal(tree.picture(1, false)));
}

TEST(ImageFolder, OneThreadAndManyReadTheSame) {
  const Tree tree("test", true);
  const Tensor index = torch::tensor({0, 1, 2, 3}, torch::kLong).repeat({20});
  const Tensor one =
      ImageFolder(ImageFolder::Options{tree.folder.path(), false, 1}).read(Split::train, index)[0].data;
  const Tensor many =
      ImageFolder(ImageFolder::Options{tree.folder.path(), false, 8}).read(Split::train, index)[0].data;
  EXPECT_TRUE(one.equal(many));
}

TEST(ImageFolder, AFlatTreeIsAllTraining) {
  const Tree tree("test", true);
  const ImageFolder data(ImageFolder::Options{tree.folder / "train", true, 2});
  EXPECT_EQ(data.size(Split::train), 4);
  EXPECT_EQ(data.size(Split::test), 0);
}

TEST(ImageFolder, ClassesOfTheTestSplitAloneCountAndAreNamed) {
  const Tree tree("test", true);
  tree.folder.write("test/bee/f.png", test::png(4, 6, PNG_COLOR_TYPE_RGB, 8, noise(72)));
  const ImageFolder data(ImageFolder::Options{tree.folder.path(), false, 2});
  EXPECT_EQ(data.classes(), (std::vector<std::string>{"Zebra", "ape", "bee"}));
  EXPECT_TRUE(data.labels(Split::test).equal(torch::tensor({1, 2}, torch::kLong)));
  EXPECT_EQ(remarks(data)[2], "1 class in the test split only (bee)");
  EXPECT_EQ(remarks(data)[3], "1 class in the training split only (Zebra)");
}

TEST(ImageFolder, NamesWhatItLeavesOut) {
  const Tree tree("validation", true);
  const Folder& folder = tree.folder;
  for (int i = 0; i < 9; ++i) folder.write("train/Zebra/" + std::to_string(i) + ".bmp", {1});
  folder.write("train/ape/.ipynb_checkpoints/d-checkpoint.png", {1});
  folder.write("train/ape/._d.png", {1});
  folder.write("train/__MACOSX/Zebra/a.png", {1});
  folder.write("train/lost.png", {1});
  folder.write("eval/ape/e.png", {1});
  std::filesystem::create_symlink("..", folder / "train/ape/up");
  std::filesystem::create_symlink("../Zebra", folder / "train/ape/other");
  std::filesystem::create_symlink("../../validation/ape", folder / "train/ape/test");
  std::filesystem::create_symlink("gone.png", folder / "train/ape/e.png");
  std::filesystem::create_symlink("f.png", folder / "train/ape/f.png");  // to itself
  ASSERT_EQ(::mkfifo((folder / "train/ape/g.png").c_str(), 0600), 0);
  const ImageFolder data(ImageFolder::Options{folder.path()});
  EXPECT_EQ(data.size(Split::train), 4);
  EXPECT_EQ(data.size(Split::test), 1);
  EXPECT_EQ(
      remarks(data),
      (std::vector<std::string>{
          "left out 10 files of other kinds (.bmp 9, .txt 1)",
          "left out 4 hidden files or folders (train/.cache, train/__MACOSX, train/ape/._d.png, "
          "train/ape/.ipynb_checkpoints)",
          "left out 2 links that lead nowhere (train/ape/e.png, train/ape/f.png)",
          "left out 3 links to folders that are read already (train/ape/other, train/ape/test, train/ape/up)",
          "left out 1 entry that is neither a file nor a folder (train/ape/g.png)",
          "left out 1 image outside of the class folders (train/lost.png)",
          "left out 1 folder that is no split (eval/)", "1 class in the training split only (Zebra)"}));
}

TEST(ImageFolder, FollowsALinkOutOfTheDataOnce) {
  const Tree tree("test", true);
  const Folder elsewhere;
  elsewhere.write("deep/x.png", test::png(4, 6, PNG_COLOR_TYPE_RGB, 8, noise(72)));
  std::filesystem::create_directory_symlink(".", elsewhere / "self");
  std::filesystem::create_directory_symlink(tree.folder.path(), elsewhere / "back");
  for (const char* name : {"one", "two"}) {
    std::filesystem::create_directory_symlink(elsewhere.path(), (tree.folder / "train/ape/") + name);
  }
  const ImageFolder data(ImageFolder::Options{tree.folder.path()});
  EXPECT_EQ(data.size(Split::train), 5);
  EXPECT_EQ(remarks(data)[2],
            "left out 3 links to folders that are read already (train/ape/one/back, train/ape/one/self, "
            "train/ape/two)");
}

TEST(ImageFolder, AClassWithoutAnImageIsTakenWhereAsked) {
  const Tree tree("test", true);
  tree.folder.write("train/bee/readme.txt", {1});
  ImageFolder::Options options{tree.folder.path()};
  options.allow_empty = true;
  const ImageFolder data(options);
  EXPECT_EQ(data.classes(), (std::vector<std::string>{"Zebra", "ape", "bee"}));
  EXPECT_TRUE(data.labels(Split::train).equal(torch::tensor({0, 0, 1, 1}, torch::kLong)));
  EXPECT_EQ(remarks(data)[2], "1 class folder without an image (train/bee)");
}

TEST(ImageFolder, SaysThatPicturesLieOnTheirSide) {
  const Folder folder;
  const Bytes plain = test::jpeg(48, 40, TJPF_RGB, gradient(48, 40));
  folder.write("train/a/1.jpg", test::with_orientation(plain, 6, true));
  folder.write("train/a/2.jpg", test::with_orientation(plain, 1, true));
  EXPECT_EQ(remarks(ImageFolder(ImageFolder::Options{folder.path()})),
            (std::vector<std::string>{
                "1 of the 2 images looked at have an EXIF orientation, which is not applied"}));
}

TEST(ImageFolder, NamesThatAreNoUtf8AreShownEscaped) {
  const Folder folder;
  folder.write("train/caf\xe9/a.png", test::png(2, 2, PNG_COLOR_TYPE_RGB, 8, noise(12)));
  folder.write("train/caf\xe9/.\x1b[2J", {1});
  const ImageFolder data(ImageFolder::Options{folder.path()});
  EXPECT_EQ(data.classes(), (std::vector<std::string>{"caf\\xe9"}));
  EXPECT_EQ(remarks(data)[0], "left out 1 hidden file or folder (train/caf\\xe9/.\\x1b[2J)");
}

TEST(ImageFolder, IsKnownByItsNamesAndBytesWhereverItLies) {
  const Tree tree("val", true), again("valid", true);  // the same pictures
  const auto identity = [](const Folder& folder) {
    return ImageFolder(ImageFolder::Options{folder.path()}).identity();
  };
  const std::string before = identity(tree.folder);
  EXPECT_EQ(identity(again.folder), before);
  again.folder.write("train/ape/more.txt", {1});
  EXPECT_EQ(identity(again.folder), before) << "what is not read does not count";
  std::set<std::string> all{before};
  const auto changed = [&](const Folder& folder) { return all.insert(identity(folder)).second; };
  tree.folder.write("train/Zebra/a.png", test::png(4, 6, PNG_COLOR_TYPE_RGB, 8, noise(72, 99)));
  EXPECT_TRUE(changed(tree.folder)) << "other pixels";
  std::filesystem::rename(tree.folder / "train/Zebra/a.png", tree.folder / "train/Zebra/c.png");
  EXPECT_TRUE(changed(tree.folder)) << "another name";
  std::filesystem::rename(tree.folder / "train/Zebra/c.png", tree.folder / "train/ape/c.png");
  EXPECT_TRUE(changed(tree.folder)) << "another class";
  std::filesystem::rename(tree.folder / "train/ape/c.png", tree.folder / "val/ape/c.png");
  EXPECT_TRUE(changed(tree.folder)) << "another split";
  std::filesystem::remove(tree.folder / "val/ape/c.png");
  EXPECT_TRUE(changed(tree.folder)) << "an image less";
}

// More than is hashed whole: bytes in the middle of a file are then not looked at, its ends are.
TEST(ImageFolder, OfALargeSetTheEndsOfEachFileAreLookedAt) {
  const Folder folder;
  const Bytes png = test::png(4, 6, PNG_COLOR_TYPE_RGB, 8, noise(72));
  const std::string path = folder.write("train/a/1.png", png);
  folder.write("train/a/2.png", png);
  std::filesystem::resize_file(path, int64_t{300} << 20);  // a hole; what follows the picture is ignored
  ImageFolder::Options options{folder.path()};
  const auto identity = [&] { return ImageFolder(options).identity(); };
  const std::string before = identity();
  const auto poke = [&](int64_t at) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(at);
    file.put('x');
  };
  poke(int64_t{150} << 20);
  EXPECT_EQ(identity(), before);
  poke((int64_t{300} << 20) - 1);
  EXPECT_NE(identity(), before);
}

}  // namespace
}  // namespace foil
