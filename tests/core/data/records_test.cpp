// SPDX-License-Identifier: BSD-3-Clause
// CIFAR-10, CIFAR-100 and STL-10 on files written here record by record.
#include "data/cifar.h"
#include "data/stl10.h"
#include "files.h"

#include <torch/types.h>

namespace foil {
namespace {

using test::Bytes;
using test::Folder;
using test::noise;

// Records of `label_bytes` labels and 3072 pixels; record i has labels (i + shift) % 10 and 2 * that + 1.
Bytes records(int64_t count, int64_t label_bytes, uint8_t shift) {
  Bytes out;
  for (int64_t i = 0; i < count; ++i) {
    const auto label = static_cast<uint8_t>((i + shift) % 10);
    out.push_back(label);
    if (label_bytes == 2) out.push_back(static_cast<uint8_t>(2 * label + 1));
    const Bytes pixels = noise(3072, static_cast<uint32_t>(i + 100 * shift));
    out.insert(out.end(), pixels.begin(), pixels.end());
  }
  return out;
}

Tensor image(uint32_t seed) {
  Bytes pixels = noise(3072, seed);
  return torch::from_blob(pixels.data(), {3, 32, 32}, torch::kByte).clone();
}

TEST(Cifar10, JoinsTheFiveBatchesInOrder) {
  const Folder folder;
  for (uint8_t b = 1; b <= 5; ++b) folder.write("data_batch_" + std::to_string(b) + ".bin", records(3, 1, b));
  folder.write("test_batch.bin", records(2, 1, 7));
  const Cifar10 data(Cifar10::Options{folder.path()});
  ASSERT_EQ(data.size(Split::train), 15);
  ASSERT_EQ(data.size(Split::test), 2);
  EXPECT_EQ(data.modalities().at(0).shape.sizes, (std::vector<int64_t>{3, 32, 32}));
  EXPECT_TRUE(data.labels(Split::train)
                  .equal(torch::tensor({1, 2, 3, 2, 3, 4, 3, 4, 5, 4, 5, 6, 5, 6, 7}, torch::kLong)));
  EXPECT_TRUE(data.labels(Split::test).equal(torch::tensor({7, 8}, torch::kLong)));
  const Tensor got = data.read(Split::train, torch::tensor({13, 2}, torch::kLong))[0].data;
  EXPECT_TRUE(got[0].equal(image(501)));  // batch 5, record 1
  EXPECT_TRUE(got[1].equal(image(102)));  // batch 1, record 2
  EXPECT_EQ(data.classes().size(), 10u);
}

TEST(Cifar10, TakesTheNamesOfTheArchive) {
  const Folder folder;
  for (uint8_t b = 1; b <= 5; ++b) folder.write("data_batch_" + std::to_string(b) + ".bin", records(1, 1, b));
  folder.write("test_batch.bin", records(1, 1, 7));
  const std::string names = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\r\ntruck\n\n";
  folder.write("batches.meta.txt", Bytes(names.begin(), names.end()));
  const std::vector<std::string> got = Cifar10(Cifar10::Options{folder.path()}).classes();
  ASSERT_EQ(got.size(), 10u);
  EXPECT_EQ(got[8], "ship");
  EXPECT_EQ(got[9], "truck");
}

TEST(Cifar100, LabelsAreFineUnlessCoarseIsAsked) {
  const Folder folder;
  folder.write("train.bin", records(3, 2, 4));
  folder.write("test.bin", records(2, 2, 0));
  const Cifar100 fine(Cifar100::Options{folder.path(), false}),
      coarse(Cifar100::Options{folder.path(), true});
  EXPECT_TRUE(fine.labels(Split::train).equal(torch::tensor({9, 11, 13}, torch::kLong)));
  EXPECT_TRUE(coarse.labels(Split::train).equal(torch::tensor({4, 5, 6}, torch::kLong)));
  EXPECT_EQ(fine.classes().size(), 100u);
  EXPECT_EQ(coarse.classes().size(), 20u);
  EXPECT_TRUE(fine.read(Split::train, torch::tensor({1}, torch::kLong))[0].data[0].equal(image(401)));
}

constexpr size_t kStlPixels = 3 * 96 * 96;

void write_stl10(const Folder& folder, const Bytes& train, const Bytes& test) {
  folder.write("train_X.bin", train);
  folder.write("train_y.bin", Bytes(train.size() / kStlPixels, 10));
  folder.write("test_X.bin", test);
  folder.write("test_y.bin", {1});
}

TEST(Stl10, TurnsColumnsIntoRows) {
  const Folder folder;
  const Bytes train = noise(2 * kStlPixels);
  write_stl10(folder, train, noise(kStlPixels, 5));
  const Stl10 data(Stl10::Options{folder.path(), false});
  EXPECT_EQ(data.modalities().at(0).shape.sizes, (std::vector<int64_t>{3, 96, 96}));
  EXPECT_TRUE(data.labels(Split::train).equal(torch::tensor({9, 9}, torch::kLong)));
  EXPECT_TRUE(data.labels(Split::test).equal(torch::tensor({0}, torch::kLong)));
  const Tensor got = data.read(Split::train, torch::arange(2))[0].data;
  for (const auto& [n, c, y, x] :
       {std::tuple<size_t, size_t, size_t, size_t>{0, 0, 0, 1}, {1, 2, 95, 3}, {1, 0, 17, 60}}) {
    const uint8_t stored = train[((n * 3 + c) * 96 + x) * 96 + y];  // one column after another
    EXPECT_EQ(got[static_cast<int64_t>(n)][static_cast<int64_t>(c)][static_cast<int64_t>(y)]
                 [static_cast<int64_t>(x)]
                     .item<int>(),
              stored);
  }
}

TEST(Stl10, UnlabelledImagesFollowTheLabelledOnes) {
  const Folder folder;
  write_stl10(folder, noise(2 * kStlPixels), noise(kStlPixels, 5));
  const Bytes unlabelled =
      noise(259 * kStlPixels, 9);  // more than one block of the reader, and not a multiple
  folder.write("unlabeled_X.bin", unlabelled);
  const Stl10 data(Stl10::Options{folder.path(), true});
  ASSERT_EQ(data.size(Split::train), 261);
  EXPECT_EQ(data.labels(Split::train)[1].item<int64_t>(), 9);
  EXPECT_TRUE(data.labels(Split::train).slice(0, 2).eq(-1).all().item<bool>());
  const Tensor last = data.read(Split::train, torch::tensor({260}, torch::kLong))[0].data[0];
  EXPECT_EQ(last[2][95][94].item<int>(), unlabelled[258 * kStlPixels + (2 * 96 + 94) * 96 + 95]);
}

}  // namespace
}  // namespace foil
