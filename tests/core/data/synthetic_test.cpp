// SPDX-License-Identifier: BSD-3-Clause
// The synthetic data set: reproducible, and easy enough to be learned from.
#include "data/synthetic.h"

#include <gtest/gtest.h>
#include <torch/types.h>

namespace foil {
namespace {

// Accuracy of the nearest training sample in L2.
double nearest_neighbour(const Synthetic& data) {
  auto all = [&](Split split) {
    return data.read(split, torch::arange(data.size(split)))[0].data.flatten(1).to(torch::kDouble);
  };
  const Tensor nearest = torch::cdist(all(Split::test), all(Split::train)).argmin(1);
  return data.labels(Split::train)
      .index_select(0, nearest)
      .eq(data.labels(Split::test))
      .to(torch::kDouble)
      .mean()
      .item<double>();
}

TEST(Synthetic, ImagesAreAFunctionOfTheSeed) {
  Synthetic::Options options;
  options.samples = 13;
  options.test_samples = 5;
  options.channels = 2;
  options.size = 7;
  const Synthetic first(options), again(options);
  options.seed = 1;
  const Synthetic other(options);
  auto images = [](const Synthetic& data, Split split) { return data.read(split, torch::arange(5))[0].data; };
  EXPECT_EQ(first.modalities().at(0).shape.sizes, (std::vector<int64_t>{2, 7, 7}));
  EXPECT_EQ(images(first, Split::train).scalar_type(), torch::kByte);
  EXPECT_TRUE(images(first, Split::train).equal(images(again, Split::train)));
  EXPECT_FALSE(images(first, Split::train).equal(images(other, Split::train)));
  EXPECT_FALSE(images(first, Split::train).equal(images(first, Split::test)));
}

TEST(Synthetic, MoreSamplesKeepTheFirstOnes) {
  Synthetic::Options options;
  options.samples = 4;
  options.size = 5;
  const Synthetic few(options);
  options.samples = 9;
  const Synthetic many(options);
  EXPECT_TRUE(few.read(Split::train, torch::arange(4))[0].data.equal(
      many.read(Split::train, torch::arange(4))[0].data));
}

TEST(Synthetic, NeighboursShareTheClassMoreOftenThanByChance) {
  Synthetic::Options options;
  options.samples = 300;
  options.test_samples = 100;
  options.size = 16;
  EXPECT_GT(nearest_neighbour(Synthetic(options)), 0.3);
  options.features = 12;
  const Synthetic vectors(options);
  EXPECT_EQ(vectors.modalities().at(0).shape.sizes, (std::vector<int64_t>{12}));
  EXPECT_EQ(vectors.read(Split::train, torch::arange(2))[0].modality, "vector");
  EXPECT_EQ(vectors.read(Split::train, torch::arange(2))[0].data.scalar_type(), torch::kFloat);
  EXPECT_GT(nearest_neighbour(vectors), 0.3);
}

TEST(Synthetic, TestSplitMayBeEmpty) {
  Synthetic::Options options;
  options.test_samples = 0;
  options.size = 4;
  const Synthetic data(options);
  EXPECT_EQ(data.size(Split::test), 0);
  EXPECT_EQ(data.size(Split::train), 1000);
}

}  // namespace
}  // namespace foil
