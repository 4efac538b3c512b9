// SPDX-License-Identifier: BSD-3-Clause
// Missing and damaged images.
#include "bad_data.h"
#include "data/image_folder.h"
#include "pictures.h"

#include <torch/types.h>

namespace foil {
namespace {

using test::Bytes;
using test::cut;
using test::expect_messages;
using test::flipped;
using test::Folder;
using test::noise;

// Reads every image of a folder of two classes, of one size or of two.
void use_images(const Folder& f) {
  const ImageFolder data(ImageFolder::Options{f.path(), false, 4});
  data.read(Split::train, torch::arange(data.size(Split::train)));
}

void write_images(const Folder& f) {
  for (const char* name : {"train/a/1.jpg", "train/a/2.jpg", "train/b/3.jpg"}) {
    f.write(name, test::jpeg(48, 40, TJPF_RGB, test::gradient(48, 40)));
  }
  f.write("train/b/4.png", test::png(48, 40, PNG_COLOR_TYPE_RGB, 8, noise(48 * 40 * 3)));
}

TEST(BadImages, ImagesAreRefusedByName) {
  const Bytes good = test::jpeg(48, 40, TJPF_RGB, test::gradient(48, 40));
  const Bytes png = test::png(48, 40, PNG_COLOR_TYPE_RGB, 8, noise(48 * 40 * 3));
  Bytes ended = good;  // a marker amid the pixels
  ended[700] = 0xFF;
  ended[701] = 0xD9;
  Bytes huge = png;
  for (size_t at : {16, 17, 20, 21}) huge[at] = 0;
  huge[17] = huge[21] = 0x0F;
  const unsigned long sum = crc32(0, huge.data() + 12, 17);
  for (size_t i = 0; i < 4; ++i) huge[29 + i] = static_cast<uint8_t>(sum >> (24 - 8 * i));
  expect_messages(
      {{"a truncated JPEG", [&](const Folder& f) { f.write("train/a/2.jpg", cut(good, good.size() - 200)); },
        "5 FOLDER/train/a/2.jpg: broken JPEG: Premature end of JPEG file."},
       {"a JPEG that ends in its header", [&](const Folder& f) { f.write("train/a/2.jpg", cut(good, 100)); },
        "5 FOLDER/train/a/2.jpg: broken JPEG: it holds no image."},
       {"a damaged JPEG", [&](const Folder& f) { f.write("train/a/2.jpg", ended); },
        "5 FOLDER/train/a/2.jpg: broken JPEG: Corrupt JPEG data: premature end of data segment."},
       {"a truncated PNG", [&](const Folder& f) { f.write("train/b/4.png", cut(png, 3000)); },
        "5 FOLDER/train/b/4.png: broken PNG: the file ends early."},
       {"a PNG with a flipped byte", [&](const Folder& f) { f.write("train/b/4.png", flipped(png, 1000)); },
        "5 FOLDER/train/b/4.png: broken PNG: IDAT: incorrect data check."},
       {"a PNG of a trillion pixels", [&](const Folder& f) { f.write("train/b/4.png", huge); },
        "5 FOLDER/train/b/4.png: 983080x983088 are 966454151040 pixels, allowed: "
        "at most data.largest_image = 100000000."},
       {"an empty file", [](const Folder& f) { f.write("train/b/3.jpg", {}); },
        "5 FOLDER/train/b/3.jpg: neither a JPEG nor a PNG file (0 bytes)."},
       {"text under a picture's name", [](const Folder& f) { f.write("train/b/3.jpg", Bytes(20, 'x')); },
        "5 FOLDER/train/b/3.jpg: neither a JPEG nor a PNG file (20 bytes)."},
       {"an empty class", [](const Folder& f) { f.write("train/c/readme.txt", {1}); },
        "5 FOLDER/train/c: no .jpg, .jpeg or .png file in it. "
        "Set data.allow_empty = true for a class without images."},
       {"a folder under a picture's name",
        [](const Folder& f) { std::filesystem::create_directories(f / "train/c/x.png"); },
        "5 FOLDER/train/c: no .jpg, .jpeg or .png file in it. "
        "Set data.allow_empty = true for a class without images."},
       {"two classes that are one folder",
        [](const Folder& f) { std::filesystem::create_directory_symlink("a", f / "train/c"); },
        "5 FOLDER/train/c: the same folder as the class 'a', and an image has one class."},
       {"no classes", [](const Folder& f) { f.write("test/1.jpg", {1}); },
        "5 FOLDER/test: no class folders in it."},
       {"no train folder", [](const Folder& f) { std::filesystem::rename(f / "train", f / "training"); },
        "5 FOLDER/train: no such folder; "
        "if the class folders lie in data.path itself, set data.flat = true."}},
      write_images, use_images);
}

TEST(BadImages, AnImageOfMorePixelsThanAskedForIsRefusedBeforeItIsDecoded) {
  const Folder folder;
  write_images(folder);
  Bytes huge = test::jpeg(48, 40, TJPF_RGB, test::gradient(48, 40));
  const Bytes frame = {0xFF, 0xC0};
  const size_t at =
      static_cast<size_t>(std::search(huge.begin(), huge.end(), frame.begin(), frame.end()) - huge.begin());
  for (const size_t size : {at + 5, at + 7}) {  // 16000 x 16000
    huge[size] = 0x3E;
    huge[size + 1] = 0x80;
  }
  folder.write("train/a/2.jpg", huge);
  ImageFolder::Options options{folder.path()};
  EXPECT_EQ(test::error_of([&] { ImageFolder data(options); }),
            "5 " + (folder / "train/a/2.jpg") +
                ": 16000x16000 are 256000000 pixels, allowed: at most data.largest_image = 100000000.");
  options.largest_image = 48 * 40 - 1;
  EXPECT_EQ(test::error_of([&] { ImageFolder data(options); }),
            "5 " + (folder / "train/a/1.jpg") +
                ": 40x48 are 1920 pixels, allowed: at most data.largest_image = 1919.");
}

TEST(BadImages, ABrokenImageAmongDifferentSizesIsNamedWhenRead) {
  const Folder folder;
  write_images(folder);
  folder.write("train/a/0.png", test::png(3, 3, PNG_COLOR_TYPE_RGB, 8, noise(27)));
  const Bytes good = test::jpeg(48, 40, TJPF_RGB, test::gradient(48, 40));
  folder.write("train/a/2.jpg", cut(good, good.size() - 200));
  folder.write("train/b/3.jpg", cut(good, good.size() - 300));
  const ImageFolder data(ImageFolder::Options{folder.path(), false, 4});
  for (int i = 0; i < 20; ++i) {  // the first of the broken ones, whatever the threads do
    EXPECT_EQ(test::error_of([&] { data.read(Split::train, torch::arange(5)); }),
              "5 " + (folder / "train/a/2.jpg") + ": broken JPEG: Premature end of JPEG file.");
  }
  EXPECT_EQ(data.read(Split::train, torch::tensor({1}, torch::kLong))[0].ragged[0].sizes(),
            (std::vector<int64_t>{3, 40, 48}));
}

TEST(BadImages, AnImageThatChangedItsSizeIsNamed) {
  const Folder folder;
  write_images(folder);
  const ImageFolder data(ImageFolder::Options{folder.path(), false, 2});
  folder.write("train/b/4.png", test::png(4, 40, PNG_COLOR_TYPE_RGB, 8, noise(4 * 40 * 3)));
  EXPECT_EQ(test::error_of([&] { data.read(Split::train, torch::arange(4)); }),
            "5 " + (folder / "train/b/4.png") + ": 40x4, but it was 40x48 when the run started.");
}

}  // namespace
}  // namespace foil
