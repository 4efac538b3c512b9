// SPDX-License-Identifier: BSD-3-Clause
// The blocks that the transformers share: of pre-norm attention and a multilayer perceptron with GELU
// (Vaswani et al., "Attention is all you need", 2017; the norm in front as in Dosovitskiy et al., 2021).
// Names are timm's: norm1, attn.qkv, attn.proj, norm2, mlp.fc1, mlp.fc2; weights start normal with deviation
// .02, biases at 0.
#pragma once

#include <foil/plugin.h>

#include <torch/nn/init.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/types.h>

namespace foil::transformer {

inline torch::nn::Linear linear(int64_t in, int64_t out) {
  torch::nn::Linear layer(in, out);
  torch::nn::init::normal_(layer->weight, 0, 0.02);
  torch::nn::init::zeros_(layer->bias);
  return layer;
}

inline torch::nn::LayerNorm layer_norm(int64_t width) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({width}).eps(1e-6));
}

class Attention final : public torch::nn::Module {
 public:
  Attention(int64_t width, int64_t heads)
      : heads_(heads),
        qkv_(register_module("qkv", linear(width, 3 * width))),
        proj_(register_module("proj", linear(width, width))) {}

  // x [B, T, C]; `counts`: bool [B, 1, 1, T], which entries are looked at; undefined: all.
  Tensor forward(const Tensor& x, const Tensor& counts) {
    const Tensor parts =
        qkv_->forward(x).view({x.size(0), x.size(1), 3, heads_, x.size(2) / heads_}).permute({2, 0, 3, 1, 4});
    const std::optional<Tensor> mask = counts.defined() ? std::optional(counts) : std::nullopt;
    const Tensor y =
        at::scaled_dot_product_attention(parts[0], parts[1], parts[2], mask);  // [B, heads, T, C / heads]
    return proj_->forward(y.transpose(1, 2).reshape(x.sizes()));
  }

 private:
  int64_t heads_;
  torch::nn::Linear qkv_, proj_;
};

class MLP final : public torch::nn::Module {
 public:
  MLP(int64_t width, int64_t hidden)
      : fc1_(register_module("fc1", linear(width, hidden))),
        fc2_(register_module("fc2", linear(hidden, width))) {}
  Tensor forward(const Tensor& x) { return fc2_->forward(at::gelu(fc1_->forward(x))); }

 private:
  torch::nn::Linear fc1_, fc2_;
};

class Block final : public torch::nn::Module {
 public:
  Block(int64_t width, int64_t heads, int64_t hidden)
      : norm1_(register_module("norm1", layer_norm(width))),
        attn_(register_module("attn", std::make_shared<Attention>(width, heads))),
        norm2_(register_module("norm2", layer_norm(width))),
        mlp_(register_module("mlp", std::make_shared<MLP>(width, hidden))) {}

  // Each half is left out with probability `drop`, drawn by `key` under the name `place`.
  Tensor forward(const Tensor& x, const Tensor& counts, double drop, const Tensor& key,
                 const std::string& place) {
    const Tensor y =
        x + stochastic_depth(attn_->forward(norm1_->forward(x), counts), drop, key, place + ".attn");
    return y + stochastic_depth(mlp_->forward(norm2_->forward(y)), drop, key, place + ".mlp");
  }

 private:
  torch::nn::LayerNorm norm1_;
  std::shared_ptr<Attention> attn_;
  torch::nn::LayerNorm norm2_;
  std::shared_ptr<MLP> mlp_;
};

using Blocks = std::vector<std::shared_ptr<Block>>;

// `depth` blocks, which become blocks.0, blocks.1, ... of `of`.
inline Blocks make_blocks(torch::nn::Module& of, int64_t depth, int64_t width, int64_t heads,
                          double mlp_ratio) {
  const auto parent = of.register_module("blocks", std::make_shared<torch::nn::Module>("blocks"));
  const auto hidden = static_cast<int64_t>(static_cast<double>(width) * mlp_ratio);
  Blocks blocks;
  for (int64_t i = 0; i < depth; ++i)
    blocks.push_back(
        parent->register_module(std::to_string(i), std::make_shared<Block>(width, heads, hidden)));
  return blocks;
}

// x through all of them. The last is left out with probability `drop`, the first never, between them it grows
// evenly (Huang et al., "Deep networks with stochastic depth", 2016).
inline Tensor through(const Blocks& blocks, Tensor x, const Tensor& counts, double drop, const Tensor& key) {
  const double steps = std::max<double>(1, static_cast<double>(blocks.size()) - 1);
  for (size_t i = 0; i < blocks.size(); ++i)
    x = blocks[i]->forward(x, counts, drop * static_cast<double>(i) / steps, key,
                           "blocks." + std::to_string(i));
  return x;
}

}  // namespace foil::transformer
