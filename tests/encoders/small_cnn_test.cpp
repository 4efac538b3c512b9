// SPDX-License-Identifier: BSD-3-Clause
#include "encoders/small_cnn.cpp"

#include "tests/support/error_of.h"

#include <gtest/gtest.h>

namespace {

using foil::test::error_of;

using at::Tensor;

std::shared_ptr<SmallCNN> encoder(std::vector<int64_t> widths, int64_t channels) {
  torch::manual_seed(1);
  auto net = std::make_shared<SmallCNN>(SmallCNN::Options{std::move(widths)});
  net->setup({channels, 28, 28});
  net->to(torch::kDouble);
  return net;
}

TEST(SmallCNN, EqualsConvolutionNormReluWrittenOut) {
  const auto net = encoder({4, 6}, 3);
  const Tensor image = torch::randn({5, 3, 9, 11}, torch::kDouble);
  const foil::Features got = net->forward({"image", foil::Kind::image, image, {}, {}, {}, {}});
  std::vector<Tensor> weights;
  Tensor x = image;
  for (const char* number : {"1", "2"}) {
    weights.push_back(net->named_parameters()["conv" + std::string(number) + ".weight"]
                          .detach()
                          .contiguous()
                          .requires_grad_(true));
    x = torch::conv2d(x, weights.back(), {}, /*stride=*/2, /*padding=*/1);
    const Tensor mean = x.mean({0, 2, 3}, /*keepdim=*/true),
                 var = (x - mean).square().mean({0, 2, 3}, /*keepdim=*/true);
    x = ((x - mean) / (var + 1e-5).sqrt()).clamp_min(0);
  }
  EXPECT_EQ(got.map.sizes(), (std::vector<int64_t>{5, 6, 3, 3}));
  EXPECT_TRUE(torch::allclose(got.map, x, 0, 1e-12));
  EXPECT_TRUE(torch::allclose(got.pooled, x.mean({2, 3}), 0, 1e-12));
  got.pooled.pow(3).sum().backward();
  x.mean({2, 3}).pow(3).sum().backward();
  for (size_t i = 0; i < weights.size(); ++i) {
    EXPECT_TRUE(torch::allclose(net->named_parameters()["conv" + std::to_string(i + 1) + ".weight"].grad(),
                                weights[i].grad(), 1e-9, 1e-10));
  }
}

TEST(SmallCNN, HasThreeConvolutionsWithoutBiasByDefault) {
  SmallCNN net{SmallCNN::Options{}};
  net.setup({1, 28, 28});
  std::vector<std::string> names;
  for (const auto& item : net.named_parameters()) names.push_back(item.key());
  EXPECT_EQ(names,
            (std::vector<std::string>{"conv1.weight", "bn1.weight", "bn1.bias", "conv2.weight", "bn2.weight",
                                      "bn2.bias", "conv3.weight", "bn3.weight", "bn3.bias"}));
  EXPECT_EQ(net.feature_dim(), 128);
  const foil::Features out =
      net.forward({"image", foil::Kind::image, torch::rand({3, 1, 28, 28}), {}, {}, {}, {}});
  EXPECT_EQ(out.pooled.sizes(), (std::vector<int64_t>{3, 128}));
  EXPECT_EQ(out.map.sizes(), (std::vector<int64_t>{3, 128, 4, 4}));
}

TEST(SmallCNN, RefusesAViewOfOtherChannels) {
  const auto net = encoder({4}, 3);
  EXPECT_EQ(error_of([&] {
              net->forward(
                  {"image", foil::Kind::image, torch::zeros({2, 1, 8, 8}, torch::kDouble), {}, {}, {}, {}});
            }),
            "1 small_cnn: the view is [2, 1, 8, 8], allowed: [B, 3, H, W].");
}

TEST(SmallCNN, RefusesNoWidths) { EXPECT_THROW(SmallCNN(SmallCNN::Options{{}}), foil::Error); }

}  // namespace
