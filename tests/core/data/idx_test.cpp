// SPDX-License-Identifier: BSD-3-Clause
// The IDX reader on files written here byte by byte, and on the real Fashion-MNIST.
#include "data/idx.h"

#include "files.h"

#include <torch/types.h>

namespace foil {
namespace {

using test::Bytes;
using test::Environment;
using test::Folder;
using test::gzip;
using test::idx;
using test::noise;

// Five training and three test images of 2x3, whose pixels are all known.
struct SmallMnist {
  Folder folder;
  Bytes train = noise(5 * 2 * 3), test = noise(3 * 2 * 3, 2);
  explicit SmallMnist(bool zipped, const std::string& under = "") {
    const std::string prefix = under.empty() ? "" : under + "/", suffix = zipped ? ".gz" : "";
    auto put = [&](const std::string& name, const Bytes& bytes) {
      folder.write(prefix + name + suffix, zipped ? gzip(bytes) : bytes);
    };
    put("train-images-idx3-ubyte", idx({5, 2, 3}, train));
    put("train-labels-idx1-ubyte", idx({5}, {9, 0, 3, 3, 1}));
    put("t10k-images-idx3-ubyte", idx({3, 2, 3}, test));
    put("t10k-labels-idx1-ubyte", idx({3}, {2, 2, 7}));
  }
};

Tensor bytes_tensor(const Bytes& bytes, at::IntArrayRef sizes) {
  return torch::from_blob(const_cast<uint8_t*>(bytes.data()), sizes, torch::kByte).clone();
}

TEST(Idx, ReadsPlainAndGzipAlike) {
  for (bool zipped : {false, true}) {
    const SmallMnist files(zipped);
    const Mnist data(Mnist::Options{files.folder.path()});
    EXPECT_EQ(data.size(Split::train), 5);
    EXPECT_EQ(data.size(Split::test), 3);
    EXPECT_EQ(data.modalities().at(0).shape.sizes, (std::vector<int64_t>{1, 2, 3}));
    EXPECT_TRUE(data.labels(Split::train).equal(torch::tensor({9, 0, 3, 3, 1}, torch::kLong)));
    EXPECT_TRUE(data.labels(Split::test).equal(torch::tensor({2, 2, 7}, torch::kLong)));
    const Views all = data.read(Split::train, torch::arange(5));
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].modality, "image");
    EXPECT_TRUE(all[0].data.equal(bytes_tensor(files.train, {5, 1, 2, 3})));
    EXPECT_TRUE(
        data.read(Split::test, torch::arange(3))[0].data.equal(bytes_tensor(files.test, {3, 1, 2, 3})));
  }
}

TEST(Idx, ReadsRowsInAnyOrderWithRepeats) {
  const SmallMnist files(true);
  const Mnist data(Mnist::Options{files.folder.path()});
  const Tensor all = bytes_tensor(files.train, {5, 1, 2, 3});
  const Tensor index = torch::tensor({4, 0, 4, 2}, torch::kLong);
  EXPECT_TRUE(data.read(Split::train, index)[0].data.equal(all.index_select(0, index)));
  const Tensor strided = torch::arange(5).slice(0, 0, 5, 2);
  EXPECT_TRUE(data.read(Split::train, strided)[0].data.equal(all.index_select(0, strided)));
  EXPECT_EQ(data.read(Split::train, torch::empty({0}, torch::kLong))[0].data.sizes(),
            (std::vector<int64_t>{0, 1, 2, 3}));
}

TEST(Idx, RefusesAnIndexOutsideTheSplit) {
  const SmallMnist files(true);
  const Mnist data(Mnist::Options{files.folder.path()});
  EXPECT_EQ(test::error_of([&] {
              data.read(Split::test, torch::tensor({0, 3}, torch::kLong));
            }),
            "1 index 3 at position 1, allowed: 0 to 2.");
  EXPECT_EQ(test::error_of([&] { data.read(Split::train, torch::tensor({-1}, torch::kLong)); }),
            "1 index -1 at position 0, allowed: 0 to 4.");
}

TEST(Idx, TakesFourDimensionsAsChannelsFirst) {
  const Folder folder;
  const Bytes pixels = noise(2 * 3 * 4 * 5);
  folder.write("pictures.gz", gzip(idx({2, 3, 4, 5}, pixels)));
  Idx::Options options;
  options.path = folder.path();
  options.train_images = "pictures";
  options.train_labels = options.test_images = options.test_labels = "";
  const Idx data(options);
  EXPECT_EQ(data.modalities().at(0).shape.sizes, (std::vector<int64_t>{3, 4, 5}));
  EXPECT_EQ(data.size(Split::test), 0);
  EXPECT_FALSE(data.labels(Split::train).defined());
  EXPECT_TRUE(data.classes().empty());
  EXPECT_TRUE(data.read(Split::train, torch::arange(2))[0].data.equal(bytes_tensor(pixels, {2, 3, 4, 5})));
}

TEST(Idx, CountsTheClassesOfBothSplits) {
  const SmallMnist files(false);
  files.folder.write("t10k-labels-idx1-ubyte", idx({3}, {12, 0, 1}));
  Idx::Options options;
  options.path = files.folder.path();
  EXPECT_EQ(Idx(options).classes().size(), 13u);
}

TEST(Idx, FindsANamedSetUnderFoilData) {
  const SmallMnist files(true, "fashion-mnist");
  const Environment environment("FOIL_DATA", files.folder.path().c_str());
  EXPECT_EQ(FashionMnist(FashionMnist::Options{}).size(Split::train), 5);
}

TEST(FashionMnist, IsTheRealOne) {
  const Environment environment("FOIL_DATA", nullptr);
  const FashionMnist data(FashionMnist::Options{});
  ASSERT_EQ(data.size(Split::train), 60000);
  ASSERT_EQ(data.size(Split::test), 10000);
  EXPECT_EQ(data.modalities().at(0).shape.sizes, (std::vector<int64_t>{1, 28, 28}));
  EXPECT_EQ(data.classes()[0], "T-shirt/top");
  EXPECT_EQ(data.classes()[9], "Ankle boot");
  EXPECT_TRUE(data.labels(Split::train).bincount().equal(torch::full({10}, 6000, torch::kLong)));
  EXPECT_TRUE(data.labels(Split::test).bincount().equal(torch::full({10}, 1000, torch::kLong)));
  const Tensor pixels = data.read(Split::train, torch::arange(60000))[0].data;
  const Tensor counts = pixels.flatten().bincount({}, 256).to(torch::kDouble),
               value = torch::arange(256) / 255.0;
  const double mean = ((counts * value).sum() / counts.sum()).item<double>();
  const double square = ((counts * value.square()).sum() / counts.sum()).item<double>();
  EXPECT_NEAR(mean, 0.2860, 5e-5);
  EXPECT_NEAR(std::sqrt(square - mean * mean), 0.3530, 5e-5);
}

}  // namespace
}  // namespace foil
