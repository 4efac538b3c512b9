// SPDX-License-Identifier: BSD-3-Clause
// The vision transformer: Dosovitskiy et al., "An image is worth 16x16 words", ICLR 2021, section 3.1.
//   z = [class token; patches E] + positions;  of each block  z += MSA(LN(z)),  z += MLP(LN(z))
//   h = LN(z) of the class token       pooling = "mean": LN(mean of the patches), without a class token
// with GELU between the two layers of an MLP, and LN of epsilon 1e-6. Names are timm's, so that its weights
// load: patch_embed.proj, cls_token, pos_embed, blocks.0.attn.qkv, norm, ...; initialisation is its too:
// normal with deviation .02, biases 0. Images of another size than at set-up, such as small crops,
// get positions that are interpolated (Caron et al., "DINO", 2021). `keep_patches` trains on random patches
// of each image, all are seen in evaluation: Li et al., "Scaling language-image pre-training via masking",
// 2023; its last phase without masking is a second run with model.weights. `drop_path` leaves blocks out for
// some images, more in later ones (Huang et al., "Deep networks with stochastic depth", 2016).
//
//   [encoder]
//   name = "vit"
//   patch_size = 4
//   width = 192
//   depth = 6
//   heads = 3
#include "transformer.h"

#include <foil/plugin.h>

#include <torch/nn/functional/upsampling.h>
#include <torch/nn/init.h>
#include <torch/nn/modules/conv.h>
#include <torch/types.h>

#include <algorithm>
#include <numeric>

namespace {

using at::Tensor;
using foil::transformer::Block;

enum class Pooling { token, mean };

class ViT final : public foil::Encoder {
 public:
  struct Options {
    int64_t patch_size = 4, width = 128, depth = 4, heads = 4;
    double mlp_ratio = 4;
    Pooling pooling = Pooling::token;
    double keep_patches = 1, drop_path = 0;
    void describe(foil::Fields& f) {
      f.integer("patch_size", patch_size, "side of a patch in pixels", foil::between(2, 64));
      f.integer("width", width, "of a patch's embedding and of h; a multiple of heads",
                foil::between(1, 16384));
      f.integer("depth", depth, "blocks", foil::between(1, 24));
      f.integer("heads", heads, "of the attention", foil::between(1, 64));
      f.number("mlp_ratio", mlp_ratio, "hidden width of a block's MLP over width", foil::between(0.25, 8));
      f.choice("pooling", pooling, {{"token", Pooling::token}, {"mean", Pooling::mean}},
               "h is what the class token becomes, or the mean of the patches");
      f.number("keep_patches", keep_patches, "share of the patches that training sees, drawn for each image",
               foil::between(0.01, 1));
      f.number("drop_path", drop_path, "how often the last block is left out in training; the first never",
               foil::between(0, 0.99));
    }
  };

  explicit ViT(Options options) : options_(options) {
    if (options_.width % options_.heads != 0)
      foil::refuse("width", options_.width, "a multiple of heads = " + std::to_string(options_.heads));
  }

  void setup(const foil::EncoderSizes& sizes) override {
    foil::require_images("vit", sizes);
    const int64_t p = options_.patch_size, c = options_.width;
    if (sizes.height % p != 0 || sizes.width % p != 0)
      foil::refuse("patch_size", p,
                   "a divisor of the image's sides, " + std::to_string(sizes.height) + " and " +
                       std::to_string(sizes.width));
    channels_ = sizes.channels;
    rows_ = sizes.height / p;
    columns_ = sizes.width / p;
    if (with_token()) {
      cls_token_ = register_parameter("cls_token", torch::empty({1, 1, c}));
      torch::nn::init::normal_(cls_token_, 0, 1e-6);
    }
    pos_embed_ = register_parameter("pos_embed", torch::empty({1, rows_ * columns_ + with_token(), c}));
    torch::nn::init::normal_(pos_embed_, 0, 0.02);
    torch::nn::Conv2d patches(torch::nn::Conv2dOptions(channels_, c, p).stride(p));
    auto patch_embed = std::make_shared<torch::nn::Module>("patch_embed");
    proj_ = patch_embed->register_module("proj", patches);
    register_module("patch_embed", patch_embed);
    blocks_ = foil::transformer::make_blocks(*this, options_.depth, c, options_.heads, options_.mlp_ratio);
    norm_ = register_module(with_token() ? "norm" : "fc_norm", foil::transformer::layer_norm(c));
  }

  foil::Features forward(const foil::View& view) override {
    const Tensor& image = view.data;
    const int64_t p = options_.patch_size;
    if (image.dim() != 4 || image.size(1) != channels_ || image.size(2) % p != 0 || image.size(3) % p != 0)
      foil::fail(foil::Exit::failure, "vit: the view is ", image.sizes(), ", allowed: [B, ", channels_,
                 ", H, W] with H and W multiples of ", p, ".");
    Tensor x = proj_->forward(image);  // [B, C, rows, columns]
    const Tensor positions = positions_of(x.size(2), x.size(3));
    x = x.flatten(2).transpose(1, 2) + positions.slice(1, with_token());  // [B, L, C]
    if (is_training() && options_.keep_patches < 1 && view.key.defined()) x = kept(x, view.key);
    if (with_token()) {
      const Tensor token = (cls_token_ + positions.slice(1, 0, 1)).expand({x.size(0), 1, x.size(2)});
      x = torch::cat({token.to(x.scalar_type()), x}, 1);
    }
    x = foil::transformer::through(blocks_, x, {}, is_training() ? options_.drop_path : 0, view.key);
    if (!with_token()) return {norm_->forward(x.mean(1)), {}, x, {}};
    x = norm_->forward(x);
    return {x.select(1, 0), {}, x.slice(1, 1), {}};  // [B, C], [B, L, C]
  }

  int64_t feature_dim() const override { return options_.width; }

 private:
  int64_t with_token() const { return options_.pooling == Pooling::token ? 1 : 0; }

  Tensor positions_of(int64_t rows, int64_t columns) const {
    if (rows == rows_ && columns == columns_) return pos_embed_;
    namespace F = torch::nn::functional;
    const Tensor grid =
        pos_embed_.slice(1, with_token()).transpose(1, 2).reshape({1, options_.width, rows_, columns_});
    const Tensor other = F::interpolate(grid, F::InterpolateFuncOptions()
                                                  .size(std::vector<int64_t>{rows, columns})
                                                  .mode(torch::kBicubic)
                                                  .align_corners(false));
    return torch::cat({pos_embed_.slice(1, 0, with_token()), other.flatten(2).transpose(1, 2)}, 1);
  }

  // The patches of each image with the smallest draws, in their order: [B, K, C].
  Tensor kept(const Tensor& x, const Tensor& key) const {
    const int64_t patches = x.size(1);
    const auto keep =
        std::max<int64_t>(1, std::llround(options_.keep_patches * static_cast<double>(patches)));
    const uint64_t place = foil::mix_key(foil::name_key("encoder"), foil::name_key("patches"));
    const Tensor keys = key.contiguous();
    Tensor chosen = torch::empty({x.size(0), keep}, torch::kLong);
    std::vector<std::pair<float, int64_t>> drawn(static_cast<size_t>(patches));
    for (int64_t b = 0; b < x.size(0); ++b) {
      foil::Draws draws(place, static_cast<uint64_t>(keys.const_data_ptr<int64_t>()[b]));
      for (int64_t i = 0; i < patches; ++i) drawn[static_cast<size_t>(i)] = {draws.uniform(), i};
      std::sort(drawn.begin(), drawn.end());
      int64_t* const row = chosen.mutable_data_ptr<int64_t>() + b * keep;
      for (int64_t k = 0; k < keep; ++k) row[k] = drawn[static_cast<size_t>(k)].second;
      std::sort(row, row + keep);
    }
    return x.gather(1, chosen.to(x.device()).unsqueeze(2).expand({-1, -1, x.size(2)}));
  }

  Options options_;
  int64_t channels_ = 0, rows_ = 0, columns_ = 0;
  Tensor cls_token_, pos_embed_;
  torch::nn::Conv2d proj_{nullptr};
  std::vector<std::shared_ptr<Block>> blocks_;
  torch::nn::LayerNorm norm_{nullptr};
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.encoder<ViT>("vit"); }
