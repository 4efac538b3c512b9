// SPDX-License-Identifier: BSD-3-Clause
#include "augment/grayscale.cpp"

#include "augment_test.h"

using namespace foil::test;

TEST(Grayscale, EqualsTorchvision) {
  auto stored = golden("grayscale");
  Grayscale always({.probability = 1});
  expect_near(applied(always, stored["images"], place(3)), stored["result"], 1e-5);
}

TEST(Grayscale, ChangesTheChosenImagesOnly) {
  Grayscale always({.probability = 1}), sometimes({.probability = 0.4});
  const Tensor images = random_images({9, 3, 4, 5}, 1).to(at::kDouble) / 255;
  const Tensor gray = applied(always, images, place(9)), got = applied(sometimes, images, place(9));
  const std::vector<int64_t> rows = place(9).chosen(0.4);
  ASSERT_FALSE(rows.empty() || rows.size() == 9);
  for (int64_t b = 0; b < 9; ++b)
    EXPECT_TRUE(got[b].equal(std::count(rows.begin(), rows.end(), b) ? gray[b] : images[b])) << b;
}

TEST(Grayscale, LeavesOneChannelAndRefusesTwo) {
  Grayscale always({.probability = 1});
  const Tensor one = at::rand({2, 1, 3, 3});
  EXPECT_TRUE(applied(always, one, place(2)).equal(one));
  EXPECT_EQ(refusal([&] {
              applied(always, at::rand({2, 2, 3, 3}), place(2));
            }),
            "grayscale: images have 2 channels, allowed: 1, 3.");
}

TEST(Grayscale, DependsOnTheSampleAndItsPlaceAlone) {
  Grayscale gray({.probability = 0.5});
  const Tensor images = random_images({11, 3, 5, 7}, 2);
  expect_only_the_sample_matters(gray, images);
  expect_every_part_of_the_place_matters(gray, images);
}

TEST(Grayscale, TakesBytesFloatAndDouble) {
  Grayscale gray({.probability = 0.5});
  expect_any_type(gray, random_images({5, 3, 5, 7}, 3));
  expect_refuses_what_is_no_image(gray);
}

TEST(Grayscale, RefusesAProbabilityOutside0To1) {
  const foil::Range allowed = Ranges::of<Grayscale>()["probability"];
  EXPECT_TRUE(allowed.contains(0) && allowed.contains(1));
  EXPECT_FALSE(allowed.contains(-0.01) || allowed.contains(1.01));
}
