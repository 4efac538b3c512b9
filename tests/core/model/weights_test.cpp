// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights.h"

#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/conv.h>

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
  try {
    foil::load_weights(module, weights, "net.safetensors");
  } catch (const foil::Error& error) {
    EXPECT_EQ(error.code(), foil::Exit::data);
    return error.what();
  }
  return "no error";
}

TEST(Weights, LoadUnderTheirOwnNamesAndUnderEveryKnownPrefix) {
  const Tensors truth = published("");
  for (const std::string prefix :
       {"", "module.", "backbone.", "encoder.", "encoder_q.", "_orig_mod.", "module.encoder_q.", "_orig_mod.module."}) {
    Net net;
    EXPECT_TRUE(foil::load_weights(net, published(prefix), "net.safetensors").empty()) << prefix;
    for (const auto& [name, tensor] : foil::named_tensors(net)) EXPECT_TRUE(torch::equal(tensor, truth.at(name))) << prefix << name;
  }
}

TEST(Weights, LeaveOutHeadsAndMoCosKeyEncoderAndSayWhich) {
  Net net;
  Tensors weights = published("module.encoder_q.");
  for (const char* name :
       {"fc.weight", "module.encoder_q.fc.0.bias", "head.0.weight", "module.encoder_k.conv.weight", "module.queue_ptr"}) {
    weights[name] = torch::ones({1});
  }
  EXPECT_EQ(foil::load_weights(net, weights, "net.safetensors"),
            (std::vector<std::string>{"fc.weight", "head.0.weight", "module.encoder_k.conv.weight", "module.encoder_q.fc.0.bias",
                                      "module.queue_ptr"}));
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
  for (const auto& [name, tensor] : foil::named_tensors(net)) EXPECT_TRUE(torch::equal(tensor, before.at(name))) << name;
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
