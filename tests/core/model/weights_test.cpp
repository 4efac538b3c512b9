// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights.h"

#include "tests/support/error_of.h"

#include <gtest/gtest.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

namespace {

using Tensors = std::map<std::string, at::Tensor>;

// conv.weight [2, 3, 1, 1], encoder.weight [4, 2], encoder.bias [4], and a counter.
struct Net : torch::nn::Module {
  Net() {
    register_module("conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 2, 1).bias(false)));
    register_module("encoder", torch::nn::Linear(2, 4));
    register_buffer("count", torch::zeros({}, torch::kLong));
  }
};

Tensors published(const std::string& prefix) {
  torch::manual_seed(5);
  return {{prefix + "conv.weight", torch::randn({2, 3, 1, 1})},
          {prefix + "encoder.weight", torch::randn({4, 2})},
          {prefix + "encoder.bias", torch::randn({4})},
          {prefix + "count", torch::tensor(7)}};
}

std::string refusal(torch::nn::Module& module, const Tensors& weights) {
  return foil::test::refusal([&] { foil::load_weights(module, weights, "net.safetensors"); },
                             foil::Exit::data);
}

TEST(Weights, LoadUnderTheirOwnNamesAndUnderEveryKnownPrefix) {
  const Tensors truth = published("");
  for (const std::string prefix :
       {"", "module.", "backbone.", "encoder.", "encoder_q.", "_orig_mod.", "module.encoder_q.",
        "_orig_mod.module.", "tower.encoder.", "student.backbone.", "model.backbone.", "base_encoder.",
        "online_encoder."}) {
    Net net;
    EXPECT_TRUE(foil::load_weights(net, published(prefix), "net.safetensors").empty()) << prefix;
    for (const auto& [name, tensor] : foil::named_tensors(net))
      EXPECT_TRUE(torch::equal(tensor, truth.at(name))) << prefix << name;
  }
}

TEST(Weights, LeaveOutHeadsAndMoCosKeyEncoderAndSayWhich) {
  Net net;
  Tensors weights = published("module.encoder_q.");
  for (const char* name : {"fc.weight", "module.encoder_q.fc.0.bias", "head.0.weight",
                           "module.encoder_k.conv.weight", "module.queue_ptr"}) {
    weights[name] = torch::ones({1});
  }
  EXPECT_EQ(foil::load_weights(net, weights, "net.safetensors"),
            (std::vector<std::string>{"fc.weight", "head.0.weight", "module.encoder_k.conv.weight",
                                      "module.encoder_q.fc.0.bias", "module.queue_ptr"}));
}

TEST(Weights, LeaveOutByNameWhatIsNoEncoderInPublishedFilesAndInCheckpoints) {
  for (const std::string name : {"predictor.0.weight",
                                 "projector.0.weight",
                                 "projection_head.layers.0.weight",
                                 "prediction_head.0.bias",
                                 "prototypes.weight",
                                 "prototypes.0.weight",
                                 "classifier.weight",
                                 "momentum_backbone.conv.weight",
                                 "momentum_projector.0.weight",
                                 "backbone_momentum.conv.weight",
                                 "teacher.backbone.conv.weight",
                                 "student.head.mlp.0.weight",
                                 "momentum_encoder.conv.weight",
                                 "model.fc.weight",
                                 "tower.head.0.weight",
                                 "tower.predictor.0.weight",
                                 "momentum.encoder.conv.weight",
                                 "loss.0.centre",
                                 "queue.0.0.data",
                                 "optimizer.momentum.tower.encoder.conv.weight",
                                 "generator.0"}) {
    Net net;
    Tensors weights = published("tower.encoder.");
    weights[name] = torch::ones({1});
    EXPECT_EQ(foil::load_weights(net, weights, "net.safetensors"), std::vector<std::string>{name});
  }
}

TEST(Weights, DoNotNeedTheCountOfBatchesNorMindOneMore) {
  struct Norm : torch::nn::Module {
    explicit Norm(bool counts) {
      weight = register_parameter("weight", torch::zeros({2}));
      if (counts) register_buffer("num_batches_tracked", torch::tensor(3));
    }
    at::Tensor weight;
  };
  Norm with(true), without(false);
  foil::load_weights(with, {{"weight", torch::ones({2})}}, "net.safetensors");
  foil::load_weights(without, {{"weight", torch::ones({2})}, {"num_batches_tracked", torch::tensor(9)}},
                     "net.safetensors");
  EXPECT_EQ(with.weight.sum().item<float>() + without.weight.sum().item<float>(), 4);
  EXPECT_EQ(foil::named_tensors(with).at("num_batches_tracked").item<int64_t>(), 3);
}

TEST(Weights, OfAnotherNetworkAreNotListedWithoutEnd) {
  Net net;
  Tensors weights;
  for (int i = 0; i < 40; ++i) weights["layer." + std::to_string(i)] = torch::zeros({});
  const std::string text = refusal(net, weights);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 21);
  EXPECT_TRUE(text.ends_with("\n  and 24 more")) << text;
}

TEST(Weights, ListEveryDifferenceInOneErrorAndChangeNothing) {
  Net net;
  Tensors before;
  for (const auto& [name, tensor] : foil::named_tensors(net)) before[name] = tensor.clone();
  Tensors weights = published("");
  weights.erase("conv.weight");
  weights["conv.wieght"] = torch::zeros({2, 3, 1, 1});
  weights["encoder.weight"] = torch::zeros({4, 3});
  weights["count"] = torch::tensor(7.0f);
  weights["module.encoder.bias"] = torch::zeros({4});
  weights["fancy"] = torch::zeros({});
  EXPECT_EQ(refusal(net, weights),
            "net.safetensors: the tensors do not fit:\n"
            "  twice: module.encoder.bias is another encoder.bias\n"
            "  missing: conv.weight [2, 3, 1, 1]\n"
            "  dtype: count is Float, allowed: Long\n"
            "  shape: encoder.weight is [4, 3], allowed: [4, 2]\n"
            "  unexpected: conv.wieght [2, 3, 1, 1]. Did you mean 'conv.weight'?\n"
            "  unexpected: fancy []");
  for (const auto& [name, tensor] : foil::named_tensors(net))
    EXPECT_TRUE(torch::equal(tensor, before.at(name))) << name;
}

TEST(Weights, ConvertFloatingDtypesAndKeepTheMemoryLayout) {
  Net net;
  at::Tensor conv = foil::named_tensors(net).at("conv.weight");
  conv.set_data(conv.contiguous(at::MemoryFormat::ChannelsLast));
  const auto strides = conv.strides().vec();
  Tensors weights = published("");
  for (auto& [name, tensor] : weights) {
    if (tensor.is_floating_point()) tensor = tensor.to(torch::kDouble);
  }
  foil::load_weights(net, weights, "net.safetensors");
  EXPECT_EQ(conv.scalar_type(), torch::kFloat);
  EXPECT_EQ(conv.strides().vec(), strides);
  EXPECT_TRUE(torch::equal(conv, published("").at("conv.weight")));
}

TEST(Weights, MoveToLeavesACountAnInteger) {
  Net net;
  foil::move_to(net, at::kCPU, at::kDouble);
  EXPECT_EQ(foil::named_tensors(net).at("encoder.weight").scalar_type(), at::kDouble);
  EXPECT_EQ(foil::named_tensors(net).at("count").scalar_type(), at::kLong);
}

}  // namespace
