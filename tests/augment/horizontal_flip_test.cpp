// SPDX-License-Identifier: BSD-3-Clause
#include "augment/horizontal_flip.cpp"

#include "augment_test.h"

using namespace foil::test;

TEST(HorizontalFlip, EqualsTorchvision) {
  auto stored = golden("horizontal_flip");
  HorizontalFlip always({.probability = 1});
  expect_near(applied(always, stored["images"], place(3)), stored["result"], 1e-5);
}

TEST(HorizontalFlip, MirrorsTheChosenImagesOnly) {
  HorizontalFlip sometimes({.probability = 0.4});
  const Tensor images = random_images({9, 2, 3, 5}, 1).to(at::kDouble),
               got = applied(sometimes, images, place(9));
  const std::vector<int64_t> rows = place(9).chosen(0.4);
  ASSERT_FALSE(rows.empty() || rows.size() == 9);
  for (int64_t b = 0; b < 9; ++b)
    EXPECT_TRUE(got[b].equal(std::count(rows.begin(), rows.end(), b) ? images[b].flip(2) : images[b])) << b;
}

TEST(HorizontalFlip, TensorsEqualLoops) {
  const Tensor images = random_images({9, 2, 3, 5}, 1).to(at::kFloat);
  EXPECT_TRUE(flip_by_tensors(images, {0, 3, 4}).equal(flip_by_loops(images, {0, 3, 4})));
}

TEST(HorizontalFlip, ComesAsOftenAsItsProbability) {
  for (double probability : {0.0, 0.3, 0.5, 1.0})
    expect_frequency(static_cast<int64_t>(place(10000).chosen(probability).size()), 10000, probability);
}

TEST(HorizontalFlip, DependsOnTheSampleAndItsPlaceAlone) {
  HorizontalFlip flip({});
  const Tensor images = random_images({11, 3, 5, 7}, 2);
  expect_only_the_sample_matters(flip, images);
  expect_every_part_of_the_place_matters(flip, images);
}

TEST(HorizontalFlip, TakesBytesFloatAndDouble) {
  HorizontalFlip flip({});
  expect_any_type(flip, random_images({5, 3, 5, 7}, 3));
  expect_refuses_what_is_no_image(flip);
}

TEST(HorizontalFlip, RefusesAProbabilityOutside0To1) {
  const foil::Range allowed = Ranges::of<HorizontalFlip>()["probability"];
  EXPECT_TRUE(allowed.contains(0) && allowed.contains(1));
  EXPECT_FALSE(allowed.contains(-0.01) || allowed.contains(1.01));
}
