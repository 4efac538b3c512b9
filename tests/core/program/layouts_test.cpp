// SPDX-License-Identifier: BSD-3-Clause
// Layouts by the names and shapes of tensors: which fit, what Python is told, and why others do not. That
// torchvision takes what is written is in tests/program/export_test.cpp.
#include "program/layouts.h"

#include "config/parse.h"
#include "tests/support/error_of.h"

#include <gtest/gtest.h>

namespace foil {
namespace {

using test::error_of;

// A vision transformer of one block, by timm's names: images of 3 x 8 x 16 in patches of 4.
EncoderRecord transformer(int64_t width = 6, int64_t hidden = 9, bool token = true) {
  EncoderRecord encoder;
  encoder.options = parse_toml("name = \"mine\"\nheads = 2\n", "");
  encoder.input = {3, 8, 16};
  const auto add = [&](const std::string& name, const std::vector<int64_t>& shape) {
    encoder.tensors[name] = at::empty(shape);
  };
  add("patch_embed.proj.weight", {width, 3, 4, 4});
  add("patch_embed.proj.bias", {width});
  add("pos_embed", {1, 8 + (token ? 1 : 0), width});
  if (token) add("cls_token", {1, 1, width});
  const std::map<std::string, std::vector<int64_t>> weights = {
      {"norm1", {width}}, {"attn.qkv", {3 * width, width}}, {"attn.proj", {width, width}},
      {"norm2", {width}}, {"mlp.fc1", {hidden, width}},     {"mlp.fc2", {width, hidden}}};
  for (const auto& [name, shape] : weights) {
    add("blocks.0." + name + ".weight", shape);
    add("blocks.0." + name + ".bias", {shape[0]});
  }
  add(token ? "norm.weight" : "fc_norm.weight", {width});
  add(token ? "norm.bias" : "fc_norm.bias", {width});
  return encoder;
}

std::string no_timm(const EncoderRecord& encoder) {
  const std::string text = error_of([&] { layout_of(encoder, "timm"); }),
                    head = "2 --layout timm: the encoder is none of that: ",
                    tail = ". Layouts that fit: safetensors.";
  EXPECT_TRUE(text.starts_with(head) && text.ends_with(tail)) << text;
  return text.substr(head.size(), text.size() - head.size() - tail.size());
}

TEST(Layouts, OfATransformerByTimmsNamesSayWhatTimmIsToBuild) {
  const Layout layout = layout_of(transformer());
  EXPECT_EQ(layout.name, "timm");
  EXPECT_EQ(layout.config["model_args"], nlohmann::json({{"img_size", {8, 16}},
                                                         {"patch_size", 4},
                                                         {"in_chans", 3},
                                                         {"num_classes", 0},
                                                         {"global_pool", "token"},
                                                         {"class_token", true},
                                                         {"embed_dim", 6},
                                                         {"depth", 1},
                                                         {"num_heads", 2},
                                                         {"mlp_ratio", 1.5}}));
  const nlohmann::json mean = layout_of(transformer(6, 9, false)).config["model_args"];
  EXPECT_EQ(mean["global_pool"], "avg");
  EXPECT_EQ(mean["class_token"], false);
}

// timm makes the hidden width by int(width * mlp_ratio), which loses one to rounding at 29 / 100.
TEST(Layouts, GiveARatioThatTimmTurnsIntoTheHiddenWidth) {
  for (const int64_t hidden : {29, 57, 58, 100, 114, 250}) {
    const double ratio = layout_of(transformer(100, hidden)).config["model_args"]["mlp_ratio"];
    EXPECT_EQ(static_cast<int64_t>(100 * ratio), hidden);
  }
}

TEST(Layouts, ThatDoNotFitSayWhy) {
  EncoderRecord encoder = transformer();
  encoder.tensors["blocks.0.ls1.gamma"] = at::empty({6});
  EXPECT_EQ(no_timm(encoder), "it has a tensor blocks.0.ls1.gamma");
  encoder = transformer();
  encoder.tensors.erase("norm.bias");
  EXPECT_EQ(no_timm(encoder), "it has no tensor norm.bias");
  encoder = transformer();
  encoder.input = {3, 8, 8};
  EXPECT_EQ(no_timm(encoder), "pos_embed is [1, 9, 6], there [1, 5, 6]");
  encoder = transformer();
  encoder.options = parse_toml("name = \"mine\"\n", "");
  EXPECT_EQ(no_timm(encoder), "its experiment does not say how many heads it has");
  encoder = transformer();
  encoder.input.clear();
  EXPECT_EQ(no_timm(encoder),
            "its checkpoint, of an older foil or not of images, does not say how large these are");
}

TEST(Layouts, OfAnotherEncoderAreFoilsOwnNames) {
  EncoderRecord encoder;
  encoder.options = parse_toml("name = \"mine\"\n", "");
  encoder.tensors["weight"] = at::empty({2, 3});
  EXPECT_EQ(layout_of(encoder).name, "safetensors");
  EXPECT_EQ(layout_of(encoder, "safetensors").name, "safetensors");
  EXPECT_EQ(error_of([&] { layout_of(encoder, "torchvision"); }),
            "2 --layout torchvision: the encoder is none of that: it has no tensor conv1.weight. "
            "Layouts that fit: safetensors.");
  EXPECT_EQ(error_of([&] { layout_of(encoder, "torchvison"); }),
            "2 --layout torchvison: no such layout. Known layouts: torchvision, timm, safetensors. "
            "Did you mean 'torchvision'?");
}

TEST(Layouts, OfANetWhoseStagesTorchvisionHasNotAreFoilsOwn) {
  EncoderRecord encoder;
  encoder.options = parse_toml("name = \"mine\"\n", "");
  encoder.tensors["conv1.weight"] = at::empty({64, 3, 7, 7});
  encoder.tensors["layer1.0.conv1.weight"] = at::empty({64, 64, 3, 3});
  EXPECT_EQ(error_of([&] { layout_of(encoder, "torchvision"); }),
            "2 --layout torchvision: the encoder is none of that: its stages are those of no "
            "torchvision.models.resnet. Layouts that fit: safetensors.");
}

}  // namespace
}  // namespace foil
