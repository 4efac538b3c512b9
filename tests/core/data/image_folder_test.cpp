// SPDX-License-Identifier: BSD-3-Clause
// Decoding and image folders, on pictures written here whose pixels are known.
#include <torch/types.h>

#include "data/decode.h"
#include "data/image_folder.h"
#include "pictures.h"

namespace foil {
namespace {

using test::Bytes;
using test::Folder;
using test::gradient;
using test::noise;

// Interleaved samples as [3, H, W].
Tensor planar(const Bytes& rgb, int64_t height, int64_t width) {
  return torch::from_blob(const_cast<uint8_t*>(rgb.data()), {height, width, 3}, torch::kByte).permute({2, 0, 1}).contiguous();
}

Tensor decode(const std::string& path) {
  const ImageFile file(path);
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
  EXPECT_TRUE(decode(folder.write("a.png", test::png(7, 5, PNG_COLOR_TYPE_RGB, 8, rgb))).equal(planar(rgb, 5, 7)));
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
  const Tensor got = decode(folder.write("a.png", test::png(3, 2, PNG_COLOR_TYPE_GRAY, 1, {0b10100000, 0b01100000})));
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
  const Bytes deep = {0x00, 0x00, 0x80, 0x80, 0xFF, 0xFF, 0x12, 0x34, 0x00, 0xFF, 0xFE, 0xFD};  // v * 255 / 65535, rounded
  const Tensor got = decode(folder.write("a.png", test::png(2, 1, PNG_COLOR_TYPE_RGB, 16, deep)));
  EXPECT_TRUE(got.equal(planar({0, 128, 255, 18, 1, 254}, 1, 2)));
}

TEST(Decode, PaletteIsLookedUp) {
  const Folder folder;
  const Tensor got = decode(folder.write("a.png", test::png(3, 1, PNG_COLOR_TYPE_PALETTE, 8, {1, 0, 1}, {{9, 8, 7}, {1, 2, 3}})));
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
  EXPECT_TRUE(decode(folder.write("a.JPEG", test::png(2, 2, PNG_COLOR_TYPE_RGB, 8, rgb))).equal(planar(rgb, 2, 2)));
}

TEST(Decode, StrayBytesInAJpegAreNoError) {
  const Folder folder;
  Bytes bytes = test::jpeg(16, 16, TJPF_RGB, gradient(16, 16));
  bytes.insert(bytes.end() - 2, 5, 0x55);  // before the end marker
  EXPECT_EQ(decode(folder.write("a.jpg", bytes)).sizes(), (std::vector<int64_t>{3, 16, 16}));
}

// Two classes whose byte order differs from a locale's, nested and hidden files, all of one size.
struct Tree {
  Folder folder;
  Bytes pictures[5];
  explicit Tree(const std::string& test_name, bool same_size) {
    const char* names[] = {"train/Zebra/b.png", "train/Zebra/a.png", "train/ape/deep/c.PNG", "train/ape/d.png", ""};
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

TEST(ImageFolder, SortsClassesAndFilesByBytes) {
  for (const char* test_name : {"test", "val"}) {
    const Tree tree(test_name, true);
    const ImageFolder data(ImageFolder::Options{tree.folder.path(), false, 3});
    EXPECT_EQ(data.classes(), (std::vector<std::string>{"Zebra", "ape"}));
    EXPECT_TRUE(data.labels(Split::train).equal(torch::tensor({0, 0, 1, 1}, torch::kLong)));
    EXPECT_TRUE(data.labels(Split::test).equal(torch::tensor({1}, torch::kLong)));
    EXPECT_EQ(data.shape(), (std::vector<int64_t>{3, 6, 4}));
    const Tensor got = data.read(Split::train, torch::tensor({3, 0, 1, 2, 0}, torch::kLong))[0].data;
    const int order[] = {2, 1, 0, 3, 1};  // a.png before b.png, ape/d.png before ape/deep/c.PNG
    for (int64_t b = 0; b < 5; ++b) EXPECT_TRUE(got[b].equal(tree.picture(order[b], true))) << b;
    EXPECT_TRUE(data.read(Split::test, torch::arange(1))[0].data[0].equal(tree.picture(4, true)));
  }
}

TEST(ImageFolder, ImagesOfDifferentSizesAreRagged) {
  const Tree tree("test", false);
  const ImageFolder data(ImageFolder::Options{tree.folder.path(), false, 3});
  EXPECT_EQ(data.shape(), (std::vector<int64_t>{3, -1, -1}));
  const View view = data.read(Split::train, torch::tensor({2, 0}, torch::kLong))[0];
  EXPECT_FALSE(view.data.defined());
  ASSERT_EQ(view.ragged.size(), 2u);
  EXPECT_TRUE(view.ragged[0].equal(tree.picture(3, false)));
  EXPECT_TRUE(view.ragged[1].equal(tree.picture(1, false)));
}

TEST(ImageFolder, OneThreadAndManyReadTheSame) {
  const Tree tree("test", true);
  const Tensor index = torch::tensor({0, 1, 2, 3}, torch::kLong).repeat({20});
  const Tensor one = ImageFolder(ImageFolder::Options{tree.folder.path(), false, 1}).read(Split::train, index)[0].data;
  const Tensor many = ImageFolder(ImageFolder::Options{tree.folder.path(), false, 8}).read(Split::train, index)[0].data;
  EXPECT_TRUE(one.equal(many));
}

TEST(ImageFolder, AFlatTreeIsAllTraining) {
  const Tree tree("test", true);
  const ImageFolder data(ImageFolder::Options{tree.folder.path("train"), true, 2});
  EXPECT_EQ(data.size(Split::train), 4);
  EXPECT_EQ(data.size(Split::test), 0);
}

TEST(ImageFolder, ClassesOfTheTestSplitAloneCount) {
  const Tree tree("test", true);
  tree.folder.write("test/bee/f.png", test::png(4, 6, PNG_COLOR_TYPE_RGB, 8, noise(72)));
  const ImageFolder data(ImageFolder::Options{tree.folder.path(), false, 2});
  EXPECT_EQ(data.classes(), (std::vector<std::string>{"Zebra", "ape", "bee"}));
  EXPECT_TRUE(data.labels(Split::test).equal(torch::tensor({1, 2}, torch::kLong)));
}

}  // namespace
}  // namespace foil
