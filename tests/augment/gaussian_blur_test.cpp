// SPDX-License-Identifier: BSD-3-Clause
#include "augment/gaussian_blur.cpp"

#include "augment_test.h"

using namespace foil::test;

TEST(GaussianBlur, EqualsTorchvision) {
  auto stored = golden("gaussian_blur");
  const std::vector<double> sigma(stored["sigma"].data_ptr<double>(), stored["sigma"].data_ptr<double>() + 5);
  const Tensor images = stored["images"].to(at::kDouble) / 255;
  for (int64_t size : {1, 3, 9, 21}) {
    const Tensor want = stored["result." + std::to_string(size)];
    expect_near(blur_by_loops(images, sigma, size), want, 1e-12);
    expect_near(blur_by_tensors(images, sigma, size), want, 1e-12);
    expect_near(blur_by_loops(images.to(at::kFloat), sigma, size), want, 1e-5);
    expect_near(blur_by_tensors(images.to(at::kFloat), sigma, size), want, 1e-5);
  }
}

TEST(GaussianBlur, ChangesTheChosenImagesOnly) {
  GaussianBlur sometimes({.kernel_size = 5, .sigma = {0.5, 2}, .probability = 0.4});
  const Tensor images = random_images({9, 2, 6, 5}, 1).to(at::kDouble) / 255,
               got = applied(sometimes, images, place(9));
  const std::vector<int64_t> rows = place(9).chosen(0.4);
  const std::vector<double> sigma = sometimes.draw_sigma(rows, place(9));
  ASSERT_FALSE(rows.empty() || rows.size() == 9);
  for (int64_t b = 0; b < 9; ++b) {
    const auto at = std::find(rows.begin(), rows.end(), b);
    const Tensor image = images.narrow(0, b, 1);
    EXPECT_TRUE(got.narrow(0, b, 1).equal(
        at == rows.end() ? image : blur_by_loops(image, {sigma[at - rows.begin()]}, 5)))
        << b;
  }
}

TEST(GaussianBlur, SigmaIsUniformAndComesAsOftenAsItsProbability) {
  GaussianBlur blur({.kernel_size = 3, .sigma = {0.1, 2}, .probability = 0.7});
  const foil::AugmentContext context = place(14000);
  const std::vector<int64_t> rows = context.chosen(0.7);
  expect_frequency(static_cast<int64_t>(rows.size()), 14000, 0.7);
  expect_uniform(blur.draw_sigma(rows, context), 0.1, 2);
}

TEST(GaussianBlur, DependsOnTheSampleAndItsPlaceAlone) {
  GaussianBlur blur({.kernel_size = 5});
  const Tensor images = random_images({11, 3, 5, 7}, 2);
  expect_only_the_sample_matters(blur, images);
  expect_every_part_of_the_place_matters(blur, images);
}

TEST(GaussianBlur, TakesBytesFloatAndDouble) {
  GaussianBlur blur({.kernel_size = 3});
  expect_any_type(blur, random_images({5, 3, 5, 7}, 3));
  expect_refuses_what_is_no_image(blur);
}

TEST(GaussianBlur, RefusesKernelsThatDoNotFit) {
  EXPECT_EQ(refusal([] { GaussianBlur({.kernel_size = 4}); }), "kernel_size = 4, allowed: an odd number.");
  EXPECT_EQ(refusal([] {
              GaussianBlur({.sigma = {2, 0.1}});
            }),
            "sigma = [2, 0.1], allowed: [low, high] with low <= high.");
  EXPECT_EQ(refusal([] { GaussianBlur({.sigma = {1}}); }),
            "sigma = [1], allowed: [low, high] with low <= high.");
  GaussianBlur wide({.kernel_size = 11, .probability = 1});
  EXPECT_EQ(refusal([&] {
              applied(wide, at::rand({1, 1, 5, 9}), place(1));
            }),
            "kernel_size = 11, allowed: an odd number below 10, twice the image side.");
  EXPECT_EQ(wide.shape_after({foil::Kind::image, {1, 6, 6}}).sizes, (std::vector<int64_t>{1, 6, 6}));
  auto ranges = Ranges::of<GaussianBlur>();
  EXPECT_FALSE(ranges["sigma"].contains(0) || ranges["kernel_size"].contains(0) ||
               ranges["probability"].contains(1.01));
}
