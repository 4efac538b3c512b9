// SPDX-License-Identifier: BSD-3-Clause
// Missing and damaged files of arrays.
#include "bad_data.h"

#include "data/cifar.h"
#include "data/idx.h"
#include "data/stl10.h"

#include <sys/stat.h>
#include <torch/types.h>
#include <unistd.h>

namespace foil {
namespace {

using test::Bytes;
using test::cut;
using test::Environment;
using test::expect_messages;
using test::flipped;
using test::Folder;
using test::gzip;
using test::idx;
using test::noise;

Bytes images() { return idx({60, 28, 28}, noise(60 * 784)); }

void write_mnist(const Folder& folder) {
  folder.write("train-images-idx3-ubyte.gz", gzip(images()));
  folder.write("train-labels-idx1-ubyte.gz", gzip(idx({60}, Bytes(60, 3))));
  folder.write("t10k-images-idx3-ubyte", idx({5, 28, 28}, noise(5 * 784)));
  folder.write("t10k-labels-idx1-ubyte", idx({5}, Bytes(5, 9)));
}

void expect_mnist_refused(const std::vector<test::Case>& cases) {
  expect_messages(cases, write_mnist, [](const Folder& f) { Mnist(Mnist::Options{f.path()}); });
}

TEST(BadData, IdxFilesOfAnotherLengthOrDamagedAreRefused) {
  const Bytes whole = images(), zipped = gzip(whole);
  expect_mnist_refused(
      {{"a file that ends early",
        [&](const Folder& f) { f.write("train-images-idx3-ubyte.gz", gzip(cut(whole, 16 + 59 * 784 + 5))); },
        "5 FOLDER/train-images-idx3-ubyte.gz: 60 images expected, the file ends after 59."},
       {"a header that ends early",
        [&](const Folder& f) { f.write("train-images-idx3-ubyte.gz", gzip(cut(whole, 10))); },
        "5 FOLDER/train-images-idx3-ubyte.gz: the file ends inside its header."},
       {"an empty file", [](const Folder& f) { f.write("t10k-images-idx3-ubyte", {}); },
        "5 FOLDER/t10k-images-idx3-ubyte: the file ends inside its header."},
       {"bytes after the last image",
        [](const Folder& f) {
          f.write("t10k-images-idx3-ubyte", idx({4, 28, 28}, noise(5 * 784)));
        },
        "5 FOLDER/t10k-images-idx3-ubyte: 4 images expected, the file goes on after them."},
       {"a truncated gzip",
        [&](const Folder& f) { f.write("train-images-idx3-ubyte.gz", cut(zipped, zipped.size() / 2)); },
        "5 FOLDER/train-images-idx3-ubyte.gz: unexpected end of file."},
       {"a gzip without its last byte",
        [&](const Folder& f) { f.write("train-images-idx3-ubyte.gz", cut(zipped, zipped.size() - 1)); },
        "5 FOLDER/train-images-idx3-ubyte.gz: unexpected end of file."},
       {"a damaged gzip",
        [&](const Folder& f) { f.write("train-images-idx3-ubyte.gz", flipped(zipped, zipped.size() - 6)); },
        "5 FOLDER/train-images-idx3-ubyte.gz: incorrect data check."}});
}

TEST(BadData, IdxHeadersThatCannotBeAreRefused) {
  expect_mnist_refused(
      {{"a header beyond belief",
        [](const Folder& f) {
          f.write("t10k-images-idx3-ubyte", idx({4294967295, 65535, 65535}, noise(100)));
        },
        "5 FOLDER/t10k-images-idx3-ubyte: 4294967295 images expected, a file of 116 bytes cannot hold them."},
       {"images of no height",
        [](const Folder& f) {
          f.write("t10k-images-idx3-ubyte", idx({5, 0, 28}, {}));
        },
        "5 FOLDER/t10k-images-idx3-ubyte: images of size [0, 28]."},
       {"no images",
        [](const Folder& f) {
          f.write("t10k-images-idx3-ubyte", idx({0, 28, 28}, {}));
        },
        "5 FOLDER/t10k-images-idx3-ubyte: holds no images."},
       {"no labels", [](const Folder& f) { f.write("t10k-labels-idx1-ubyte", idx({0}, {})); },
        "5 FOLDER/t10k-labels-idx1-ubyte: holds no labels."},
       {"a gzip that expands beyond belief",
        [](const Folder& f) {
          f.write("train-labels-idx1-ubyte.gz", gzip(idx({70'000'000}, noise(70'000))));
        },
        "5 FOLDER/train-labels-idx1-ubyte.gz: "
        "70000000 labels are 70 MB, more than 100 times the 70 kB of the file. "
        "If that is right, gunzip it first."},
       {"labels where images should be",
        [](const Folder& f) { f.write("t10k-images-idx3-ubyte", idx({5}, Bytes(5, 1))); },
        "5 FOLDER/t10k-images-idx3-ubyte: starts with 00 00 08 01, expected for images: "
        "00 00 08 03 or 00 00 08 04."},
       {"images where labels should be",
        [&](const Folder& f) { f.write("train-labels-idx1-ubyte.gz", gzip(images())); },
        "5 FOLDER/train-labels-idx1-ubyte.gz: starts with 00 00 08 03, expected for labels: 00 00 08 01."},
       {"another file altogether",
        [](const Folder& f) {
          f.write("t10k-labels-idx1-ubyte", {'<', 'h', 't', 'm', 'l'});
        },
        "5 FOLDER/t10k-labels-idx1-ubyte: starts with 3c 68 74 6d, expected for labels: 00 00 08 01."}});
}

TEST(BadData, IdxFilesThatDoNotFitTogetherAreRefused) {
  expect_mnist_refused(
      {{"a label too few",
        [](const Folder& f) { f.write("train-labels-idx1-ubyte.gz", gzip(idx({59}, Bytes(59, 3)))); },
        "5 FOLDER/train-labels-idx1-ubyte.gz: "
        "59 labels, but FOLDER/train-images-idx3-ubyte.gz holds 60 images."},
       {"a label too high",
        [](const Folder& f) {
          f.write("t10k-labels-idx1-ubyte", idx({5}, {0, 9, 1, 10, 11}));
        },
        "5 FOLDER/t10k-labels-idx1-ubyte: label 10 of image 3, allowed: 0 to 9."},
       {"test images of another size",
        [](const Folder& f) {
          f.write("t10k-images-idx3-ubyte", idx({5, 28, 27}, noise(5 * 28 * 27)));
        },
        "5 test samples are [1, 28, 27], training samples [1, 28, 28]; they must agree."}});
}

TEST(BadData, WhatIsNoIdxFileIsRefused) {
  expect_mnist_refused(
      {{"a FIFO in place of a file",
        [](const Folder& f) {
          std::filesystem::remove(f / "t10k-labels-idx1-ubyte");
          ASSERT_EQ(::mkfifo((f / "t10k-labels-idx1-ubyte").c_str(), 0600), 0);
        },
        "5 FOLDER/t10k-labels-idx1-ubyte: cannot be read: it is no file, but a FIFO, a socket or a device."},
       {"a folder in place of a file",
        [](const Folder& f) {
          std::filesystem::remove(f / "t10k-labels-idx1-ubyte");
          std::filesystem::create_directory(f / "t10k-labels-idx1-ubyte");
        },
        "5 FOLDER/t10k-labels-idx1-ubyte: cannot be read: Is a directory."},
       {"a file that went away",
        [](const Folder& f) { std::filesystem::remove(f / "train-labels-idx1-ubyte.gz"); },
        "5 FOLDER/train-labels-idx1-ubyte: cannot be opened: No such file or directory."},
       {"no data at all", [](const Folder& f) { std::filesystem::remove(f / "train-images-idx3-ubyte.gz"); },
        "5 mnist: no train-images-idx3-ubyte[.gz] in FOLDER. "
        "To get it: the four .gz files of MNIST in one folder; "
        "or set data.path, or FOIL_DATA to the folder that holds mnist/."}});
}

TEST(BadData, ChannelsThatStandLastAreRefused) {
  const auto shape_of = [](const std::vector<uint32_t>& sizes) {
    const Folder folder;
    size_t count = 1;
    for (const uint32_t size : sizes) count *= size;
    folder.write("x", idx(sizes, noise(count)));
    Idx::Options options;
    options.path = folder.path();
    options.train_images = "x";
    options.train_labels = options.test_images = options.test_labels = "";
    std::string got = test::error_of([&] { Idx data(options); });
    return got == "no error" ? got : got.substr(got.find("/x: ") + 4);
  };
  EXPECT_EQ(shape_of({2, 8, 8, 3}),
            "images of size [8, 8, 3] would be 8 channels of 8x3: idx4 is [N, C, H, W]. "
            "Write them with the channels before height and width.");
  EXPECT_NE(shape_of({2, 6, 8, 1}), "no error");
  EXPECT_NE(shape_of({2, 5, 6, 4}), "no error");
  EXPECT_EQ(shape_of({2, 3, 8, 3}), "no error");
  EXPECT_EQ(shape_of({2, 16, 4, 4}), "no error");
}

// The file is one hole: it takes no room on the disk.
TEST(BadData, MoreThanTheMemoryIsRefusedBeforeItIsAllocated) {
  const Folder folder;
  write_mnist(folder);
  folder.write("t10k-images-idx3-ubyte", idx({1 << 20, 1024, 1024}, {}));
  std::filesystem::resize_file(folder / "t10k-images-idx3-ubyte", 16 + (int64_t{1} << 40));
  const std::string got = test::error_of([&] { Mnist(Mnist::Options{folder.path()}); });
  EXPECT_TRUE(
      got.starts_with("5 " + (folder / "t10k-images-idx3-ubyte") + ": 1.1 TB are needed, this machine has "))
      << got;
}

TEST(BadData, EveryPlaceLookedAtIsNamed) {
  const Folder folder;
  const std::string how =
      ". To get it: the four .gz files of MNIST in one folder; "
      "or set data.path, or FOIL_DATA to the folder that holds mnist/.";
  {
    const Environment environment("FOIL_DATA", folder.path().c_str());
    EXPECT_EQ(test::error_of([] { Mnist(Mnist::Options{}); }),
              "5 mnist: no train-images-idx3-ubyte[.gz] in " + folder.path() + "/mnist" + how);
  }
  const Environment environment("FOIL_DATA", nullptr);
  EXPECT_EQ(test::error_of([] { Mnist(Mnist::Options{}); }),
            "5 mnist: no train-images-idx3-ubyte[.gz]: FOIL_DATA is not set" + how);
  EXPECT_EQ(test::error_of([&] { FashionMnist(FashionMnist::Options{folder.path()}); }),
            "5 fashion_mnist: no train-images-idx3-ubyte[.gz] in " + folder.path() +
                ". To get it: apt-get install dataset-fashion-mnist; "
                "or set data.path, or FOIL_DATA to the folder that holds fashion-mnist/.");
}

TEST(BadData, AFileThatMayNotBeReadSaysSo) {
  const Folder folder;
  write_mnist(folder);
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  const std::string path = folder / "train-labels-idx1-ubyte.gz";
  std::filesystem::permissions(path, std::filesystem::perms::none);
  const bool root = geteuid() == 0;  // root may read anything, so the reader runs as nobody
  ASSERT_EQ(root ? seteuid(65534) : 0, 0);
  const std::string got = test::error_of([&] { Mnist(Mnist::Options{folder.path()}); });
  ASSERT_EQ(root ? seteuid(0) : 0, 0);
  EXPECT_EQ(got, "5 " + path + ": cannot be opened: Permission denied.");
}

TEST(BadData, IdxOptionsThatContradictAreUsageErrors) {
  Idx::Options options;
  EXPECT_EQ(test::error_of([&] { Idx data(options); }),
            "2 path = \"\", allowed: the folder of the IDX files.");
  options.path = "somewhere";
  options.test_labels = "";
  EXPECT_EQ(
      test::error_of([&] { Idx data(options); }),
      "2 train_labels = \"train-labels-idx1-ubyte\", allowed: a file, or none, just as test_labels is none.");
  options.train_images = "";
  EXPECT_EQ(test::error_of([&] { Idx data(options); }),
            "2 train_images = \"\", allowed: the file of the training images.");
}

TEST(BadData, CifarFilesAreRefusedWithTheReason) {
  auto write = [](const Folder& f) {
    for (int b = 1; b <= 5; ++b) f.write("data_batch_" + std::to_string(b) + ".bin", Bytes(2 * 3073, 1));
    f.write("test_batch.bin", Bytes(3073, 1));
  };
  Bytes wrong(2 * 3073, 1);
  wrong[3073] = 10;
  expect_messages(
      {{"a byte short", [](const Folder& f) { f.write("data_batch_3.bin", Bytes(2 * 3073 - 1, 1)); },
        "5 FOLDER/data_batch_3.bin: 6145 bytes, expected a multiple of 3073 (1 label + 3072 pixels)."},
       {"empty", [](const Folder& f) { f.write("test_batch.bin", {}); },
        "5 FOLDER/test_batch.bin: 0 bytes, expected a multiple of 3073 (1 label + 3072 pixels)."},
       {"a label too high", [&](const Folder& f) { f.write("data_batch_2.bin", wrong); },
        "5 FOLDER/data_batch_2.bin: label 10 of record 1, allowed: 0 to 9."},
       {"a batch is missing", [](const Folder& f) { std::filesystem::remove(f / "data_batch_5.bin"); },
        "5 FOLDER/data_batch_5.bin: cannot be opened: No such file or directory."},
       {"a class name too few",
        [](const Folder& f) {
          f.write("batches.meta.txt", {'a', '\n', 'b', '\n'});
        },
        "5 FOLDER/batches.meta.txt: 2 class names, expected 10."},
       {"the Python version of the archive",
        [](const Folder& f) { std::filesystem::rename(f / "data_batch_1.bin", f / "data_batch_1"); },
        "5 cifar10: no data_batch_1.bin[.gz] in FOLDER. "
        "To get it: unpack cifar-10-binary.tar.gz (the binary version) of the CIFAR page; "
        "or set data.path, or FOIL_DATA to the folder that holds cifar-10-batches-bin/."}},
      write, [](const Folder& f) { Cifar10(Cifar10::Options{f.path()}); });
}

TEST(BadData, Stl10FilesAreRefusedWithTheReason) {
  auto write = [](const Folder& f) {
    for (const char* split : {"train", "test"}) {
      f.write(std::string(split) + "_X.bin", Bytes(2 * 27648, 1));
      f.write(std::string(split) + "_y.bin", {1, 10});
    }
  };
  expect_messages(
      {{"a byte too many", [](const Folder& f) { f.write("test_X.bin", Bytes(2 * 27648 + 1, 1)); },
        "5 FOLDER/test_X.bin: 55297 bytes, expected a multiple of 27648 (3 x 96 x 96)."},
       {"a label too few", [](const Folder& f) { f.write("train_y.bin", {1}); },
        "5 FOLDER/train_y.bin: 1 labels, but there are 2 images."},
       {"a label counted from 0",
        [](const Folder& f) {
          f.write("train_y.bin", {1, 0});
        },
        "5 FOLDER/train_y.bin: label 0 of image 1, allowed: 1 to 10."}},
      write, [](const Folder& f) {
        Stl10(Stl10::Options{f.path(), false});
      });
}

}  // namespace
}  // namespace foil
