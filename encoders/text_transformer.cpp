// SPDX-License-Identifier: BSD-3-Clause
// A transformer over the tokens of a text, its bytes where no augmentation cuts it into others:
//   z = [class token; E_t1 + p_1, ..., E_tn + p_n];  through the blocks of transformer.h
//   h = LN(z) of the class token               pooling = "mean": LN(mean of the tokens and the class token)
// Every token sees every other of its text (Devlin et al., "BERT", 2019). A text without a token is the class
// token alone. A byte for a token: Xue et al., "ByT5", 2022.
//
//   [encoder.text]
//   name = "text_transformer"
//   width = 128
//   depth = 4
#include "transformer.h"

#include <foil/plugin.h>

#include <torch/nn/modules/embedding.h>

namespace {

using at::Tensor;

enum class Pooling { token, mean };

class TextTransformer final : public foil::Encoder {
 public:
  struct Options {
    int64_t width = 128, depth = 4, heads = 4;
    double mlp_ratio = 4;
    Pooling pooling = Pooling::token;
    double drop_path = 0;
    void describe(foil::Fields& f) {
      f.integer("width", width, "of a token's embedding and of h; a multiple of heads",
                foil::between(1, 16384));
      f.integer("depth", depth, "blocks", foil::between(1, 48));
      f.integer("heads", heads, "of the attention", foil::between(1, 64));
      f.number("mlp_ratio", mlp_ratio, "hidden width of a block's MLP over width", foil::between(0.25, 8));
      f.choice("pooling", pooling, {{"token", Pooling::token}, {"mean", Pooling::mean}},
               "h is what the class token becomes, or the mean over all");
      f.number("drop_path", drop_path, "how often the last block is left out in training; the first never",
               foil::between(0, 0.99));
    }
  };

  explicit TextTransformer(Options options) : options_(options) {
    if (options_.width % options_.heads != 0)
      foil::refuse("width", options_.width, "a multiple of heads = " + std::to_string(options_.heads));
  }

  void setup(const foil::EncoderSizes& sizes) override {
    if (sizes.kind != foil::Kind::text || sizes.vocabulary < 1)
      foil::fail(foil::Exit::usage, "text_transformer: the data is ", foil::name_of(sizes.kind),
                 ", allowed: text.");
    const int64_t c = options_.width;
    cls_token_ = register_parameter("cls_token", torch::empty({1, 1, c}));
    pos_embed_ = register_parameter("pos_embed", torch::empty({1, sizes.length, c}));
    token_embed_ = register_module("token_embed", torch::nn::Embedding(sizes.vocabulary, c));
    for (const Tensor& start : {cls_token_, pos_embed_, token_embed_->weight})
      torch::nn::init::normal_(start, 0, 0.02);
    blocks_ = foil::transformer::make_blocks(*this, options_.depth, c, options_.heads, options_.mlp_ratio);
    norm_ = register_module("norm", foil::transformer::layer_norm(c));
  }

  foil::Features forward(const foil::View& view) override {
    const Tensor& text = view.data;
    if (text.dim() != 2 || text.scalar_type() != at::kLong || text.size(1) > pos_embed_.size(1))
      foil::fail(foil::Exit::failure, "text_transformer: the view is ", text.sizes(), " of ", text.dtype(),
                 ", allowed: tokens [B, L] of int64, L up to ", pos_embed_.size(1), ".");
    const Tensor length =
        view.length.defined() ? view.length : at::full({text.size(0)}, text.size(1), at::kLong);  // [B]
    const int64_t longest = length.numel() == 0 ? 0 : length.max().item<int64_t>();
    // What is beyond the longest text of the batch is looked at by none.
    const Tensor tokens = token_embed_->forward(text.slice(1, 0, longest)) + pos_embed_.slice(1, 0, longest);
    const Tensor token = cls_token_.expand({text.size(0), 1, options_.width});
    const Tensor counts = (at::arange(longest + 1) <= length.unsqueeze(1)).to(text.device());  // [B, 1 + L]
    const Tensor x =
        foil::transformer::through(blocks_, torch::cat({token, tokens}, 1), counts.unsqueeze(1).unsqueeze(1),
                                   is_training() ? options_.drop_path : 0, view.key);
    if (options_.pooling == Pooling::token) return {norm_->forward(x.select(1, 0)), {}, x.slice(1, 1), {}};
    const Tensor share = counts.to(x.scalar_type()).unsqueeze(2);  // [B, 1 + L, 1]
    return {norm_->forward((x * share).sum(1) / share.sum(1)), {}, x.slice(1, 1), {}};
  }

  int64_t feature_dim() const override { return options_.width; }

 private:
  Options options_;
  Tensor cls_token_, pos_embed_;
  torch::nn::Embedding token_embed_{nullptr};
  foil::transformer::Blocks blocks_;
  torch::nn::LayerNorm norm_{nullptr};
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.encoder<TextTransformer>("text_transformer"); }
