// SPDX-License-Identifier: BSD-3-Clause
#include "augment/color_jitter.cpp"

#include "augment_test.h"

using namespace foil::test;

namespace {

std::vector<Jitter> stored_jitter(std::map<std::string, Tensor>& stored) {
  const auto order = stored["order"].accessor<int64_t, 2>();
  const auto factor = stored["factor"].accessor<double, 2>();
  std::vector<Jitter> jitter(stored["order"].size(0));
  for (size_t b = 0; b < jitter.size(); ++b)
    for (size_t i = 0; i < 4; ++i) {
      jitter[b].order[i] = static_cast<Change>(order[b][i]);
      jitter[b].factor[i] = factor[b][i];
    }
  return jitter;
}

// torchvision turns the hue in float32, whatever the image.
void expect_both_paths(const Tensor& bytes, const std::vector<Jitter>& jitter, const Tensor& want,
                       double tolerance) {
  const Tensor images = bytes.to(at::kDouble) / 255;
  expect_near(jitter_by_loops(images, jitter), want, tolerance);
  expect_near(jitter_by_tensors(images, jitter), want, tolerance);
  expect_near(jitter_by_loops(images.to(at::kFloat), jitter), want, 1e-5);
  expect_near(jitter_by_tensors(images.to(at::kFloat), jitter), want, 1e-5);
}

}  // namespace

TEST(ColorJitter, EachChangeEqualsTorchvision) {
  auto stored = golden("color_jitter");
  for (Change change : changes)
    for (int64_t i : {0, 1}) {
      Jitter jitter;
      jitter.factor[change] = change == hue ? (i ? 0.4 : -0.2) : (i ? 1.6 : 0.3);
      expect_both_paths(stored["images"].narrow(0, 0, 1), {jitter}, stored["alone"][change][i].unsqueeze(0),
                        change == hue ? 1e-6 : 1e-12);
    }
}

TEST(ColorJitter, EveryOrderEqualsTorchvision) {
  auto stored = golden("color_jitter");
  expect_both_paths(stored["images"], stored_jitter(stored), stored["result"], 1e-5);
}

TEST(ColorJitter, OneChannelEqualsTorchvision) {
  auto stored = golden("color_jitter");
  expect_both_paths(stored["one_channel"], stored_jitter(stored), stored["one_channel_result"], 1e-12);
}

TEST(ColorJitter, FactorsAreUniformInTheirRanges) {
  ColorJitter jitter({.brightness = 0.4, .contrast = 1.5, .saturation = 0.2, .hue = 0.1, .probability = 0.8});
  const foil::AugmentContext context = place(12500);
  std::array<std::vector<double>, 4> factors;
  std::map<std::array<Change, 4>, double> orders;
  for (int64_t b = 0; b < 12500; ++b) {
    const Jitter drawn = jitter.draw(context.draws(b));
    if (drawn.factor == neutral) continue;
    for (Change change : changes) factors[change].push_back(drawn.factor[change]);
    ++orders[drawn.order];
  }
  const auto n = static_cast<int64_t>(factors[0].size());
  expect_frequency(n, 12500, 0.8);
  expect_uniform(factors[brightness], 0.6, 1.4);
  expect_uniform(factors[contrast], 0, 2.5);
  expect_uniform(factors[saturation], 0.8, 1.2);
  expect_uniform(factors[hue], -0.1, 0.1);
  ASSERT_EQ(orders.size(), 24u);
  double chi_square = 0;  // 23 degrees of freedom: above 49.7 for one seed in a thousand
  for (const auto& [order, count] : orders)
    chi_square += std::pow(count - static_cast<double>(n) / 24, 2) / (static_cast<double>(n) / 24);
  EXPECT_LE(chi_square, 49.7);
}

TEST(ColorJitter, NothingAskedForIsNothingChanged) {
  const Tensor images = random_images({5, 3, 6, 5}, 1).to(at::kFloat) / 255;
  ColorJitter zero({.brightness = 0, .contrast = 0, .saturation = 0, .hue = 0, .probability = 1}),
      never({.probability = 0});
  EXPECT_TRUE(applied(zero, images, place(5)).equal(images));
  EXPECT_TRUE(applied(never, images, place(5)).equal(images));
}

TEST(ColorJitter, TensorsEqualLoopsOnDrawnChanges) {
  ColorJitter jitter({.brightness = 0.8, .contrast = 0.8, .saturation = 0.8, .hue = 0.5, .probability = 0.8});
  const Tensor images = random_images({37, 3, 11, 9}, 2).to(at::kFloat) / 255;
  std::vector<Jitter> drawn;
  for (int64_t b = 0; b < 37; ++b) drawn.push_back(jitter.draw(place(37).draws(b)));
  expect_near(jitter_by_tensors(images, drawn), jitter_by_loops(images, drawn), 1e-5);
  EXPECT_TRUE(applied(jitter, images, place(37)).equal(jitter_by_loops(images, drawn)));
}

TEST(ColorJitter, DependsOnTheSampleAndItsPlaceAlone) {
  ColorJitter jitter({});
  for (int64_t channels : {1, 3}) {
    const Tensor images = random_images({11, channels, 5, 7}, 3);
    expect_only_the_sample_matters(jitter, images);
    expect_every_part_of_the_place_matters(jitter, images);
  }
}

TEST(ColorJitter, TakesBytesFloatAndDouble) {
  ColorJitter jitter({});
  expect_any_type(jitter, random_images({5, 3, 5, 7}, 4));
  expect_refuses_what_is_no_image(jitter);
}

TEST(ColorJitter, RefusesTwoChannelsAndNumbersOutOfRange) {
  ColorJitter jitter({});
  EXPECT_EQ(refusal([&] {
              applied(jitter, at::rand({2, 2, 3, 3}), place(2));
            }),
            "color_jitter: images have 2 channels, allowed: 1, 3.");
  auto ranges = Ranges::of<ColorJitter>();
  for (const char* key : {"brightness", "contrast", "saturation", "hue", "probability"})
    EXPECT_FALSE(ranges[key].contains(-0.01)) << key;
  EXPECT_TRUE(ranges["brightness"].contains(1.5) && ranges["hue"].contains(0.5));
  EXPECT_FALSE(ranges["hue"].contains(0.51) || ranges["probability"].contains(1.01));
}
