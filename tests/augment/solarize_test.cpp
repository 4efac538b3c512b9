// SPDX-License-Identifier: BSD-3-Clause
#include "augment/solarize.cpp"

#include "augment_test.h"

using namespace foil::test;

TEST(Solarize, EqualsTorchvision) {
  auto stored = golden("solarize");
  Solarize always({.threshold = stored["threshold"].item<double>(), .probability = 1});
  expect_near(applied(always, stored["images"], place(3)), stored["result"], 1e-5);
}

TEST(Solarize, InvertsFromTheThresholdOn) {
  const Tensor x = at::tensor({0.0, 0.25, 0.5, 0.75, 1.0}, at::kDouble);
  EXPECT_TRUE(solarized(x, 0.5).equal(at::tensor({0.0, 0.25, 0.5, 0.25, 0.0}, at::kDouble)));
}

TEST(Solarize, ChangesTheChosenImagesOnly) {
  Solarize always({.probability = 1}), sometimes({.probability = 0.4});
  const Tensor images = random_images({9, 2, 4, 5}, 1).to(at::kDouble) / 255;
  const Tensor changed = applied(always, images, place(9)), got = applied(sometimes, images, place(9));
  const std::vector<int64_t> rows = place(9).chosen(0.4);
  ASSERT_FALSE(rows.empty() || rows.size() == 9);
  for (int64_t b = 0; b < 9; ++b)
    EXPECT_TRUE(got[b].equal(std::count(rows.begin(), rows.end(), b) ? changed[b] : images[b])) << b;
}

TEST(Solarize, DependsOnTheSampleAndItsPlaceAlone) {
  Solarize solarize({.probability = 0.5});
  const Tensor images = random_images({11, 3, 5, 7}, 2);
  expect_only_the_sample_matters(solarize, images);
  expect_every_part_of_the_place_matters(solarize, images);
}

TEST(Solarize, TakesBytesFloatAndDouble) {
  Solarize solarize({.threshold = 0.501, .probability = 0.5});  // between two bytes
  expect_any_type(solarize, random_images({5, 3, 5, 7}, 3));
  expect_refuses_what_is_no_image(solarize);
}

TEST(Solarize, RefusesNumbersOutside0To1) {
  for (const char* key : {"probability", "threshold"}) {
    const foil::Range allowed = Ranges::of<Solarize>()[key];
    EXPECT_TRUE(allowed.contains(0) && allowed.contains(1));
    EXPECT_FALSE(allowed.contains(-0.01) || allowed.contains(1.01));
  }
}
