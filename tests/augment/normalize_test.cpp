// SPDX-License-Identifier: BSD-3-Clause
#include "augment/normalize.cpp"

#include "augment_test.h"

using namespace foil::test;

namespace {
const std::vector<double> imagenet_mean = {0.485, 0.456, 0.406}, imagenet_std = {0.229, 0.224, 0.225};
}

TEST(Normalize, EqualsTorchvision) {
  auto stored = golden("normalize");
  const auto list = [&](const char* key) {
    return std::vector<double>(stored[key].data_ptr<double>(), stored[key].data_ptr<double>() + 3);
  };
  Normalize normalize({.mean = list("mean"), .std = list("std")});
  expect_near(applied(normalize, stored["images"], place(3)), stored["result"], 1e-5);
}

TEST(Normalize, OneNumberServesAllChannels) {
  Normalize one({.mean = {0.3}, .std = {0.2}}), each({.mean = {0.3, 0.3}, .std = {0.2, 0.2}});
  const Tensor images = random_images({3, 2, 4, 5}, 1);
  EXPECT_TRUE(applied(one, images, place(3)).equal(applied(each, images, place(3))));
}

TEST(Normalize, EvaluatesAsItTrains) {
  Normalize normalize({.mean = imagenet_mean, .std = imagenet_std});
  foil::View view;
  view.data = random_images({3, 3, 4, 5}, 1);
  EXPECT_TRUE(normalize.evaluate(view).data.equal(applied(normalize, view.data, place(3))));
}

TEST(Normalize, DependsOnTheSampleAlone) {
  Normalize normalize({.mean = imagenet_mean, .std = imagenet_std});
  expect_only_the_sample_matters(normalize, random_images({11, 3, 5, 7}, 2));
}

TEST(Normalize, TakesBytesFloatAndDouble) {
  Normalize normalize({.mean = imagenet_mean, .std = imagenet_std});
  expect_any_type(normalize, random_images({5, 3, 5, 7}, 3));
  expect_refuses_what_is_no_image(normalize);
}

TEST(Normalize, RefusesListsThatDoNotFitTheChannels) {
  Normalize mean({.mean = imagenet_mean, .std = {1}}), deviation({.mean = {0}, .std = {1, 1}}),
      none({.mean = {}, .std = {1}});
  EXPECT_EQ(refusal([&] {
              applied(mean, at::rand({1, 2, 3, 3}), place(1));
            }),
            "mean = a list of 3, allowed: a list of 1 or 2, one per channel.");
  EXPECT_EQ(refusal([&] {
              deviation.shape_after({foil::Kind::image, {3, 8, 8}});
            }),
            "std = a list of 2, allowed: a list of 1 or 3, one per channel.");
  EXPECT_EQ(refusal([&] {
              none.shape_after({foil::Kind::image, {3, 8, 8}});
            }),
            "mean = a list of 0, allowed: a list of 1 or 3, one per channel.");
}

TEST(Normalize, RefusesAStandardDeviationOfZero) {
  EXPECT_FALSE(Ranges::of<Normalize>()["std"].contains(0));
  EXPECT_TRUE(Ranges::of<Normalize>()["std"].contains(1e-6));
}
