// SPDX-License-Identifier: BSD-3-Clause
// The truth is torchvision's vision transformer with seeded random weights, renamed as timm names them.
#include "encoders/vit.cpp"

#include "model/weights.h"
#include "run/safetensors.h"
#include "tests/support/error_of.h"
#include "tests/support/run_python.h"

#include <gtest/gtest.h>

namespace {

using foil::test::error_of;

constexpr const char* kExport = R"(
import re, sys, torch
from torchvision.models import VisionTransformer
from safetensors.torch import save_file
torch.set_num_threads(1)
torch.manual_seed(3)
model = VisionTransformer(image_size=16, patch_size=4, num_layers=2, num_heads=2, hidden_dim=12, mlp_dim=24)
for parameter in model.parameters():
    parameter.data.normal_(0, 0.5)
def timm(name):
    name = re.sub(r"encoder\.layers\.encoder_layer_(\d)\.", r"blocks.\1.", name)
    for old, new in [("class_token", "cls_token"), ("conv_proj", "patch_embed.proj"), ("encoder.pos_embedding", "pos_embed"),
                     ("ln_1", "norm1"), ("ln_2", "norm2"), ("self_attention.in_proj_", "attn.qkv."), ("self_attention.out_proj", "attn.proj"),
                     ("mlp.0", "mlp.fc1"), ("mlp.3", "mlp.fc2"), ("encoder.ln", "norm")]:
        name = name.replace(old, new)
    return name
save_file({timm(name): t for name, t in model.state_dict().items() if not name.startswith("heads")}, sys.argv[1] + "/vit.safetensors")
model.heads = torch.nn.Identity()
image = torch.randn(3, 3, 16, 16, dtype=torch.double)
with torch.no_grad():
    save_file({"image": image, "features": model.double().eval()(image).contiguous()}, sys.argv[1] + "/features.safetensors")
)";

ViT::Options small() {
  ViT::Options options;
  options.width = 12;
  options.depth = 2;
  options.heads = 2;
  options.mlp_ratio = 2;
  return options;
}

std::shared_ptr<ViT> encoder(const ViT::Options& options, int64_t side = 16) {
  torch::manual_seed(5);
  auto net = std::make_shared<ViT>(options);
  net->setup({3, side, side});
  net->to(torch::kDouble);
  return net;
}

foil::View view_of(const Tensor& image) {
  foil::View view;
  view.data = image;
  view.key = torch::arange(image.size(0)) * 7919 + 3;
  return view;
}

TEST(ViT, LoadsWeightsByTimmsNamesAndGivesTorchvisionsFeatures) {
  const foil::test::TempFolder folder;
  foil::test::run_python(folder, kExport, folder.path());
  const auto net = encoder(small());
  const std::vector<std::string> left_out =
      foil::load_weights(*net, foil::load_tensors(folder / "vit.safetensors").tensors, "vit.safetensors");
  EXPECT_TRUE(left_out.empty());
  const auto truth = foil::load_tensors(folder / "features.safetensors").tensors;
  net->eval();
  const foil::Features got = net->forward(view_of(truth.at("image")));
  EXPECT_LT((got.pooled - truth.at("features")).abs().max().item<double>(), 1e-10);
  EXPECT_EQ(got.tokens.sizes(), (std::vector<int64_t>{3, 16, 12}));
}

TEST(ViT, KeepsAShareOfThePatchesThatItsSampleDraws) {
  ViT::Options options = small();
  options.keep_patches = 0.25;
  const auto net = encoder(options);
  const foil::View view = view_of(torch::rand({6, 3, 16, 16}, torch::kDouble));
  const foil::Features all = net->forward(view);
  EXPECT_EQ(all.tokens.sizes(), (std::vector<int64_t>{6, 4, 12}));
  // A sample's are the same wherever it stands in the batch, and others see other patches.
  const Tensor order = torch::tensor({4, 2}, torch::kLong);
  foil::View some = view;
  some.data = view.data.index_select(0, order);
  some.key = view.key.index_select(0, order);
  EXPECT_TRUE(torch::allclose(net->forward(some).pooled, all.pooled.index_select(0, order), 0, 1e-12));
  foil::View alike = view;
  alike.data = view.data.slice(0, 0, 1).expand({6, 3, 16, 16});
  const Tensor pooled = net->forward(alike).pooled;
  EXPECT_GT((pooled[0] - pooled[1]).abs().max().item<double>(), 1e-6);
  net->eval();
  EXPECT_EQ(net->forward(view).tokens.size(1), 16) << "all of them in evaluation";
}

TEST(ViT, TakesTheMeanOfThePatches) {
  ViT::Options options = small();
  options.pooling = Pooling::mean;
  const auto net = encoder(options);
  std::vector<std::string> names;
  for (const auto& item : net->named_parameters(/*recurse=*/true)) names.push_back(item.key());
  EXPECT_EQ(std::count(names.begin(), names.end(), "cls_token"), 0);
  EXPECT_EQ(std::count(names.begin(), names.end(), "fc_norm.weight"), 1);
  const foil::Features got = net->forward(view_of(torch::rand({2, 3, 16, 16}, torch::kDouble)));
  const Tensor mean = got.tokens.mean(1);
  const Tensor want = (mean - mean.mean(-1, true)) / (mean.var(-1, /*unbiased=*/false, true) + 1e-6).sqrt();
  EXPECT_TRUE(torch::allclose(got.pooled, want, 0, 1e-12));
}

TEST(ViT, TakesSmallerCropsByInterpolatedPositions) {
  const auto net = encoder(small());
  const torch::NoGradGuard no_grad;
  for (auto& item : net->named_parameters())
    if (item.key() == "pos_embed") item.value().fill_(0.5);  // interpolated they are what they were
  const Tensor image = torch::rand({2, 3, 8, 12}, torch::kDouble);
  const foil::Features got = net->forward(view_of(image));
  EXPECT_EQ(got.tokens.sizes(), (std::vector<int64_t>{2, 6, 12}));
  const auto other = std::make_shared<ViT>(small());
  other->setup({3, 8, 12});
  other->to(torch::kDouble);
  auto to = other->named_parameters();
  for (const auto& item : net->named_parameters())
    to[item.key()].copy_(item.key() == "pos_embed" ? torch::full_like(to[item.key()], 0.5) : item.value());
  EXPECT_TRUE(torch::allclose(got.pooled, other->forward(view_of(image)).pooled, 0, 1e-12));
}

TEST(ViT, TrainsEveryParameter) {
  ViT::Options options = small();
  options.drop_path = 0.5;
  options.keep_patches = 0.5;
  const auto net = encoder(options);
  (net->forward(view_of(torch::rand({8, 3, 16, 16}, torch::kDouble))).pooled *
   torch::randn({8, 12}, torch::kDouble))
      .sum()
      .backward();
  for (const auto& item : net->named_parameters())
    EXPECT_GT(item.value().grad().abs().max().item<double>(), 0) << item.key();
}

TEST(ViT, RefusesWhatDoesNotDivide) {
  ViT::Options options = small();
  options.heads = 5;
  EXPECT_EQ(error_of([&] { ViT{options}; }), "2 width = 12, allowed: a multiple of heads = 5.");
  EXPECT_EQ(error_of([] { encoder(small(), 18); }),
            "2 patch_size = 4, allowed: a divisor of the image's sides, 18 and 18.");
  EXPECT_EQ(error_of([] {
              encoder(small())->forward(view_of(torch::zeros({2, 3, 10, 16}, torch::kDouble)));
            }),
            "1 vit: the view is [2, 3, 10, 16], allowed: [B, 3, H, W] with H and W multiples of 4.");
}

}  // namespace
