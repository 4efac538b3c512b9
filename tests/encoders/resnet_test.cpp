// SPDX-License-Identifier: BSD-3-Clause
// The truth is torchvision: Python makes models with seeded random weights and running statistics, and their
// features.
#include "encoders/resnet.cpp"

#include "model/weights.h"
#include "run/safetensors.h"
#include "tests/support/error_of.h"
#include "tests/support/run_python.h"

#include <gtest/gtest.h>

namespace {

using foil::test::error_of;

constexpr const char* kExport = R"(
import sys, torch, torchvision
from safetensors.torch import save_file
torch.set_num_threads(1)
for depth in (18, 34, 50):
    torch.manual_seed(depth)
    model = getattr(torchvision.models, f"resnet{depth}")(weights=None)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    names = ",".join(name for name, _ in model.named_parameters() if not name.startswith("fc."))
    save_file(model.state_dict(), f"{sys.argv[1]}/resnet{depth}.safetensors", {"names": names})
    model.fc = torch.nn.Identity()
    image = torch.randn(2, 3, 33, 49)
    with torch.no_grad():
        evaluated = model.eval()(image)
        trained = model.train().double()(image.double())  # batch statistics of few places magnify rounding
    save_file({"image": image, "evaluated": evaluated, "trained": trained}, f"{sys.argv[1]}/features{depth}.safetensors")
)";

class ResNetTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<foil::test::TempFolder>();
    foil::test::run_python(*folder_, kExport, folder_->path());
  }
  static void TearDownTestSuite() { folder_.reset(); }
  static inline std::unique_ptr<foil::test::TempFolder> folder_;
};

std::shared_ptr<ResNet> encoder(int64_t depth, bool small_images = false) {
  auto net = std::make_shared<ResNet>(ResNet::Options{depth, small_images});
  net->setup({3, 64, 64});
  return net;
}

// Largest difference relative to the largest entry.
double error(const at::Tensor& got, const at::Tensor& wanted) {
  return (got - wanted).abs().max().item<double>() / wanted.abs().max().item<double>();
}

TEST_F(ResNetTest, LoadsTorchvisionsWeightsAndGivesItsFeatures) {
  for (const int64_t depth : {18, 34, 50}) {
    const auto net = encoder(depth);
    const foil::TensorFile file =
        foil::load_tensors(*folder_ / ("resnet" + std::to_string(depth) + ".safetensors"));
    const std::vector<std::string> left_out = foil::load_weights(*net, file.tensors, "resnet.safetensors");
    EXPECT_EQ(left_out, (std::vector<std::string>{"fc.bias", "fc.weight"}));
    const auto truth =
        foil::load_tensors(*folder_ / ("features" + std::to_string(depth) + ".safetensors")).tensors;
    const torch::NoGradGuard no_grad;
    net->eval();
    const foil::Features out = net->forward({"image", foil::Kind::image, truth.at("image"), {}, {}, {}, {}});
    EXPECT_EQ(out.pooled.sizes(), (std::vector<int64_t>{2, net->feature_dim()}));
    EXPECT_EQ(out.map.sizes(), (std::vector<int64_t>{2, net->feature_dim(), 2, 2}));
    EXPECT_LT(error(out.pooled, truth.at("evaluated")), 1e-5) << depth;
    net->train();
    net->to(torch::kDouble);
    EXPECT_LT(
        error(net->forward({"image", foil::Kind::image, truth.at("image").to(torch::kDouble), {}, {}, {}, {}})
                  .pooled,
              truth.at("trained")),
        1e-11)
        << depth;
  }
}

TEST_F(ResNetTest, HasTorchvisionsParametersInItsOrder) {
  for (const int64_t depth : {18, 34, 50}) {
    std::string names;
    for (const auto& item : encoder(depth)->named_parameters())
      names += (names.empty() ? "" : ",") + item.key();
    EXPECT_EQ(names, foil::load_tensors(*folder_ / ("resnet" + std::to_string(depth) + ".safetensors"))
                         .metadata.at("names"));
  }
}

TEST(ResNet, KeepsTheResolutionOfSmallImagesInTheStem) {
  const auto net = encoder(18, /*small_images=*/true);
  EXPECT_EQ(net->named_parameters()["conv1.weight"].sizes(), (std::vector<int64_t>{64, 3, 3, 3}));
  const foil::Features out =
      net->forward({"image", foil::Kind::image, torch::rand({2, 3, 32, 32}), {}, {}, {}, {}});
  EXPECT_EQ(out.map.sizes(), (std::vector<int64_t>{2, 512, 4, 4}));
  EXPECT_TRUE(torch::allclose(out.pooled, out.map.mean({2, 3})));
}

TEST(ResNet, StartsFromKaimingNormalByFanOut) {
  torch::manual_seed(1);
  const auto net = encoder(50);
  for (const char* name : {"layer3.0.conv2.weight", "layer4.0.downsample.0.weight"}) {
    const at::Tensor w = net->named_parameters()[name];
    const double fan_out = static_cast<double>(w.size(0) * w.size(2) * w.size(3));
    EXPECT_NEAR(w.std().item<double>(), std::sqrt(2 / fan_out), 0.01 * std::sqrt(2 / fan_out)) << name;
  }
}

TEST(ResNet, TrainsEveryParameter) {
  const auto net = encoder(50, true);
  net->forward({"image", foil::Kind::image, torch::rand({3, 3, 8, 8}), {}, {}, {}, {}})
      .pooled.square()
      .sum()
      .backward();
  for (const auto& item : net->named_parameters())
    EXPECT_GT(item.value().grad().abs().max().item<float>(), 0) << item.key();
}

TEST(ResNet, RefusesOtherDepthsAndOtherChannels) {
  EXPECT_EQ(error_of([] { ResNet({20, false}); }), "2 depth = 20, allowed: 18, 34, 50.");
  EXPECT_EQ(error_of([] {
              encoder(18)->forward({"image", foil::Kind::image, torch::zeros({2, 1, 8, 8}), {}, {}, {}, {}});
            }),
            "1 resnet: the view is [2, 1, 8, 8], allowed: [B, 3, H, W].");
}

}  // namespace
