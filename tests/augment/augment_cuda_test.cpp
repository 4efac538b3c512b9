// SPDX-License-Identifier: BSD-3-Clause
// On a CUDA device each augmentation gives the images of the CPU, at any batch position.
#include "augment_test.h"

#include <ATen/Parallel.h>

#include <array>
#include <cmath>
#include <numeric>

// The seven sources in one program: their classes, without the door of a plugin.
#undef FOIL_PLUGIN
#define FOIL_PLUGIN(plugin) [[maybe_unused]] static void registered(foil::Plugin& plugin)
namespace crop {
#include "augment/random_resized_crop.cpp"
}
namespace flip {
#include "augment/horizontal_flip.cpp"
}
namespace jitter {
#include "augment/color_jitter.cpp"
}
namespace gray {
#include "augment/grayscale.cpp"
}
namespace blur {
#include "augment/gaussian_blur.cpp"
}
namespace solar {
#include "augment/solarize.cpp"
}
namespace norm {
#include "augment/normalize.cpp"
}

using namespace foil::test;

namespace {
using foil::Tensor;

void expect_the_cpus_images(foil::Augmentation& augmentation) {
  if (!torch::cuda::is_available()) GTEST_SKIP() << "no CUDA device";
  const Tensor images = random_images({37, 3, 33, 29}, 1);
  const Tensor on_cpu = applied(augmentation, images, place(37)),
               on_cuda = applied(augmentation, images.to(at::kCUDA), place(37));
  ASSERT_TRUE(on_cuda.is_cuda());
  expect_near(on_cuda.cpu(), on_cpu, 1e-5);
  const Tensor part = applied(augmentation, images.narrow(0, 5, 9).to(at::kCUDA), place(at::arange(5, 14)));
  expect_near(part.cpu(), on_cuda.narrow(0, 5, 9).cpu(), 1e-6);
}

}  // namespace

TEST(AugmentCuda, RandomResizedCropEqualsTheCpu) {
  crop::RandomResizedCrop x({.size = {17, 24}});
  expect_the_cpus_images(x);
}
TEST(AugmentCuda, HorizontalFlipEqualsTheCpu) {
  flip::HorizontalFlip x({});
  expect_the_cpus_images(x);
}
TEST(AugmentCuda, ColorJitterEqualsTheCpu) {
  jitter::ColorJitter x({});
  expect_the_cpus_images(x);
}
TEST(AugmentCuda, GrayscaleEqualsTheCpu) {
  gray::Grayscale x({});
  expect_the_cpus_images(x);
}
TEST(AugmentCuda, GaussianBlurEqualsTheCpu) {
  blur::GaussianBlur x({.kernel_size = 9});
  expect_the_cpus_images(x);
}
TEST(AugmentCuda, SolarizeEqualsTheCpu) {
  solar::Solarize x({.threshold = 0.501});
  expect_the_cpus_images(x);
}
TEST(AugmentCuda, NormalizeEqualsTheCpu) {
  norm::Normalize x({.mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}});
  expect_the_cpus_images(x);
}
