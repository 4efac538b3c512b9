// SPDX-License-Identifier: BSD-3-Clause
#include "augment/random_resized_crop.cpp"

#include "augment_test.h"

using namespace foil::test;

namespace {

const std::vector<double> whole_scale = {0.08, 1}, usual_ratio = {3.0 / 4, 4.0 / 3};

std::vector<Box> stored_boxes(const Tensor& table) {
  const auto entry = table.accessor<int64_t, 2>();
  std::vector<Box> boxes;
  for (int64_t b = 0; b < table.size(0); ++b)
    boxes.push_back({entry[b][0], entry[b][1], entry[b][2], entry[b][3]});
  return boxes;
}

std::vector<Box> drawn_boxes(int64_t n, int64_t height, int64_t width, const std::vector<double>& scale,
                             const std::vector<double>& ratio) {
  const foil::AugmentContext context = place(n);
  std::vector<Box> boxes;
  for (int64_t b = 0; b < n; ++b) boxes.push_back(draw_box(context.draws(b), height, width, scale, ratio));
  return boxes;
}

TEST(RandomResizedCrop, TakesTheLargestCentredBoxInEvaluation) {
  RandomResizedCrop crop({.size = {4, 2}});
  foil::View view;
  view.data = at::arange(2 * 6 * 7, at::kFloat).view({1, 2, 6, 7}) / 84;
  const Tensor got = crop.evaluate(view).data;  // the box is 6 x 3, columns 2 to 4
  ASSERT_EQ(got.sizes(), (at::IntArrayRef{1, 2, 4, 2}));
  const Tensor box = view.data.slice(3, 2, 5);
  EXPECT_NEAR((got.mean() - box.mean()).item<double>(), 0, 1e-6);
  RandomResizedCrop same({.size = {6, 7}});
  EXPECT_TRUE(at::equal(same.evaluate(view).data, view.data));
}

}  // namespace

TEST(RandomResizedCrop, EqualsTorchvision) {
  auto stored = golden("random_resized_crop");
  const std::vector<Box> boxes = stored_boxes(stored["boxes"]);
  const Tensor bytes = stored["images"], real = bytes.to(at::kDouble) / 255;
  expect_near(crop(real, boxes, 13, 10), stored["result"], 1e-12);
  expect_near(crop_by_tensors(real, boxes, 13, 10), stored["result"], 1e-12);
  for (const Tensor& x : {bytes, real.to(at::kFloat)}) {
    expect_near(crop(x, boxes, 13, 10), stored["result"], 1e-5);
    expect_near(crop_by_tensors(x, boxes, 13, 10), stored["result"], 1e-5);
  }
}

TEST(RandomResizedCrop, DrawsBoxesAsOftenAsTorchvision) {
  const std::vector<Box> boxes = drawn_boxes(10000, 24, 32, whole_scale, usual_ratio);
  const Tensor counts = golden("random_resized_crop")["counts"].to(
      at::kDouble);  // [top, left, height, width][0 .. 32], of 200,000
  for (int64_t side = 0; side < 4; ++side) {
    std::vector<double> mine(33);
    for (const Box& box : boxes) ++mine[std::array{box.top, box.left, box.height, box.width}[side]];
    double chi_square = 0, bins = 0;
    for (int64_t i = 0; i < 33; ++i) {
      const double theirs = counts[side][i].item<double>(), expected = (mine[i] + theirs) * 10000 / 210000;
      EXPECT_TRUE(theirs > 0 || mine[i] == 0) << side << ' ' << i;
      if (expected < 5) continue;
      chi_square += std::pow(mine[i] - expected, 2) / (expected * 200000 / 210000);
      ++bins;
    }
    ASSERT_GT(bins, 15) << side;
    EXPECT_LE(chi_square, bins + 3.5 * std::sqrt(2 * bins)) << side;
  }
}

TEST(RandomResizedCrop, AreaAndLogarithmOfTheRatioAreUniformWhereEveryBoxFits) {
  std::vector<double> area, ratio;
  for (const Box& box : drawn_boxes(10000, 3000, 3000, {0.08, 0.5}, usual_ratio)) {
    area.push_back(static_cast<double>(box.height * box.width) / 9e6);
    ratio.push_back(std::log(static_cast<double>(box.width) / static_cast<double>(box.height)));
  }
  const double pixel = 1e-3;  // sides are rounded
  expect_uniform(area, 0.08 - pixel, 0.5 + pixel);
  expect_uniform(ratio, std::log(usual_ratio[0]) - pixel, std::log(usual_ratio[1]) + pixel);
}

TEST(RandomResizedCrop, BoxesLieInsideTheImage) {
  for (auto [height, width] : {std::pair{1, 1}, {1, 7}, {28, 28}, {5, 300}, {31, 17}})
    for (const Box& box : drawn_boxes(2000, height, width, {0.01, 1}, {0.1, 10})) {
      ASSERT_TRUE(box.height >= 1 && box.width >= 1 && box.top >= 0 && box.left >= 0)
          << height << 'x' << width;
      ASSERT_TRUE(box.top + box.height <= height && box.left + box.width <= width) << height << 'x' << width;
    }
}

TEST(RandomResizedCrop, FallsBackToTheLargestCentredBoxOfAnAllowedRatio) {
  const auto sides = [](const Box& box) { return std::array{box.top, box.left, box.height, box.width}; };
  for (const Box& box : drawn_boxes(50, 100, 4, {0.9, 1}, usual_ratio))
    EXPECT_EQ(sides(box), (std::array<int64_t, 4>{47, 0, 5, 4}));
  for (const Box& box : drawn_boxes(50, 4, 100, {0.9, 1}, usual_ratio))
    EXPECT_EQ(sides(box), (std::array<int64_t, 4>{0, 47, 4, 5}));
  int64_t whole = 0;  // a square image whose boxes are nearly never square enough
  for (const Box& box : drawn_boxes(50, 400, 400, {1, 1}, {0.5, 2}))
    whole += sides(box) == std::array<int64_t, 4>{0, 0, 400, 400};
  EXPECT_GT(whole, 40);
}

TEST(RandomResizedCrop, TensorsEqualLoopsOnDrawnBoxes) {
  const Tensor images = random_images({41, 3, 37, 23}, 1);
  const std::vector<Box> boxes = drawn_boxes(41, 37, 23, whole_scale, usual_ratio);
  expect_near(crop_by_tensors(images, boxes, 8, 31), crop(images, boxes, 8, 31), 1e-5);
}

TEST(RandomResizedCrop, DependsOnTheSampleAndItsPlaceAlone) {
  RandomResizedCrop crop({.size = {7, 5}});
  const Tensor images = random_images({11, 3, 13, 9}, 2);
  expect_only_the_sample_matters(crop, images);
  expect_every_part_of_the_place_matters(crop, images);
}

TEST(RandomResizedCrop, TakesBytesFloatAndDouble) {
  RandomResizedCrop crop({.size = {9}});
  expect_any_type(crop, random_images({5, 3, 13, 9}, 3));
  expect_refuses_what_is_no_image(crop);
}

TEST(RandomResizedCrop, OneNumberIsASquare) {
  EXPECT_EQ(RandomResizedCrop({.size = {9}}).shape_after({foil::Kind::image, {3, -1, -1}}).sizes,
            (std::vector<int64_t>{3, 9, 9}));
  RandomResizedCrop crop({.size = {9, 4}});
  EXPECT_EQ(crop.shape_after({foil::Kind::image, {1, 28, 28}}).sizes, (std::vector<int64_t>{1, 9, 4}));
  EXPECT_EQ(applied(crop, random_images({2, 1, 28, 28}, 4), place(2)).sizes(),
            (std::vector<int64_t>{2, 1, 9, 4}));
}

TEST(RandomResizedCrop, TakesImagesOfDifferentSizesAsItTakesEachAlone) {
  RandomResizedCrop crop({.size = {9, 4}});
  ASSERT_TRUE(crop.accepts_ragged());
  const Tensor index = at::tensor({4, 400, 7, 1}, at::kLong);
  foil::View view;
  view.ragged = {random_images({3, 5, 90}, 5), random_images({3, 1, 1}, 6),
                 random_images({21, 13, 3}, 7).permute({2, 0, 1}), random_images({3, 9, 4}, 8)};
  for (int threads : {1, 2}) {
    at::set_num_threads(threads);
    const foil::View got = crop.apply(view, place(index));
    EXPECT_TRUE(got.ragged.empty());
    ASSERT_EQ(got.data.sizes(), (std::vector<int64_t>{4, 3, 9, 4}));
    for (int64_t b = 0; b < 4; ++b)
      EXPECT_TRUE(got.data.narrow(0, b, 1).equal(
          applied(crop, view.ragged[b].unsqueeze(0), place(index.narrow(0, b, 1)))))
          << b;
  }
  at::set_num_threads(1);
}

TEST(RandomResizedCrop, EvaluatesOnTheLargestCentredBoxOfTheResultsShape) {
  RandomResizedCrop square({.size = {3}}), wide({.size = {2, 4}});
  foil::View view;
  view.data = random_images({2, 3, 6, 11}, 9).to(at::kDouble) / 255;
  const std::vector<Box> squares(2, Box{0, 2, 6, 6}),
      wides(2, Box{0, 0, 6, 11});  // 6 x 11 is cut to 5.5 x 11, rounded
  expect_near(square.evaluate(view).data, crop(view.data, squares, 3, 3), 0);
  expect_near(wide.evaluate(view).data, crop(view.data, wides, 2, 4), 0);
  foil::View ragged;
  ragged.ragged = {random_images({3, 7, 3}, 10), random_images({3, 1, 5}, 11)};
  const Tensor got = square.evaluate(ragged).data;
  expect_near(got[0], crop(ragged.ragged[0].unsqueeze(0), {Box{2, 0, 3, 3}}, 3, 3)[0], 0);
  expect_near(got[1], crop(ragged.ragged[1].unsqueeze(0), {Box{0, 2, 1, 1}}, 3, 3)[0], 0);
  EXPECT_EQ(wide.evaluation_name(), "centre2x4");
}

TEST(RandomResizedCrop, RefusesImagesThatDoNotFitTogether) {
  RandomResizedCrop crop({.size = {4}});
  foil::View view;
  view.ragged = {random_images({3, 5, 9}, 5), random_images({1, 5, 9}, 6)};
  EXPECT_EQ(refusal([&] { crop.apply(view, place(2)); }),
            "random_resized_crop: image 1 is unsigned char [1, 5, 9], allowed: unsigned char [3, H, W]");
  view.ragged = {at::rand({3, 5, 9})};
  EXPECT_EQ(refusal([&] { crop.apply(view, place(1)); }),
            "random_resized_crop: image 0 is float [3, 5, 9], allowed: unsigned char [3, H, W]");
}

TEST(RandomResizedCrop, RefusesOptionsOutOfRange) {
  EXPECT_EQ(refusal([] {
              RandomResizedCrop({.size = {1, 2, 3}});
            }),
            "size = a list of 3, allowed: one number, or height and width.");
  EXPECT_EQ(refusal([] { RandomResizedCrop({.size = {}}); }),
            "size = a list of 0, allowed: one number, or height and width.");
  EXPECT_EQ(refusal([] {
              RandomResizedCrop({.scale = {0.5, 0.1}});
            }),
            "scale = [0.5, 0.1], allowed: [low, high] with low <= high.");
  EXPECT_EQ(refusal([] { RandomResizedCrop({.ratio = {1}}); }),
            "ratio = [1], allowed: [low, high] with low <= high.");
  auto ranges = Ranges::of<RandomResizedCrop>();
  EXPECT_TRUE(ranges["scale"].contains(1) && ranges["size"].contains(1));
  EXPECT_FALSE(ranges["scale"].contains(0) || ranges["scale"].contains(1.01) || ranges["ratio"].contains(0) ||
               ranges["size"].contains(0));
}
