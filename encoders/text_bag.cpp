// SPDX-License-Identifier: BSD-3-Clause
// A bag of token embeddings under a multilayer perceptron, whose layers are those of mlp. Of the tokens t_1
// ... t_n of a text, the rows of an embedding E:
//   b = (E_t1 + ... + E_tn) / n        pooling = "mean";   / sqrt(n)  "sqrt";   as it is  "sum"
//   h = MLP(b)                         b itself without widths
// A text without a token has b = 0. The order of the tokens does not matter; Joulin et al., "Bag of tricks
// for efficient text classification", EACL 2017. The gradient of E is dense.
//
//   [encoder.text]
//   name = "text_bag"
//   embedding = 64
//   widths = [256]
#include <foil/plugin.h>

#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

namespace {
using at::Tensor;

enum class Pooling { mean, sqrt, sum };

class TextBag final : public foil::Encoder {
 public:
  struct Options {
    int64_t embedding = 64;
    Pooling pooling = Pooling::mean;
    std::vector<int64_t> widths = {256};
    bool batch_norm = true;
    void describe(foil::Fields& f) {
      f.integer("embedding", embedding, "width of a token's embedding", foil::between(1, 1e6));
      f.choice("pooling", pooling, {{"mean", Pooling::mean}, {"sqrt", Pooling::sqrt}, {"sum", Pooling::sum}},
               "what the sum of the embeddings is divided by: their number, its root, nothing");
      f.integers("widths", widths,
                 "widths of the layers; the last one is the width of h; empty = h is the pooled embedding",
                 foil::between(1, 1e6));
      f.flag("batch_norm", batch_norm, "batch norm after each linear layer");
    }
  };

  explicit TextBag(Options options) : options_(std::move(options)) {}

  void setup(const foil::EncoderSizes& sizes) override {
    if (sizes.kind != foil::Kind::text || sizes.vocabulary < 1)
      foil::fail(foil::Exit::usage, "text_bag: the data is ", foil::name_of(sizes.kind),
                 ", allowed: text, cut into tokens (hashed_ngrams).");
    embedding_ = register_module("embedding", torch::nn::Embedding(sizes.vocabulary, options_.embedding));
    layers_ = register_module("layers", torch::nn::Sequential());
    int64_t in = options_.embedding;
    for (const int64_t width : options_.widths) {
      layers_->push_back(torch::nn::Linear(torch::nn::LinearOptions(in, width).bias(!options_.batch_norm)));
      if (options_.batch_norm) layers_->push_back(foil::BatchNorm(width));
      layers_->push_back(torch::nn::ReLU(torch::nn::ReLUOptions(/*inplace=*/true)));
      in = width;
    }
  }

  foil::Features forward(const foil::View& view) override {
    if (view.data.dim() != 2 || view.data.scalar_type() != at::kLong)
      foil::fail(foil::Exit::failure, "text_bag: the view is ", view.data.sizes(), " of ", view.data.dtype(),
                 ", allowed: tokens [B, L] of int64.");
    const Tensor bag = pooled(view);  // [B, embedding]
    return {layers_->is_empty() ? bag : layers_->forward(bag), {}, {}, {}};
  }

  int64_t feature_dim() const override {
    return options_.widths.empty() ? options_.embedding : options_.widths.back();
  }

 private:
  // A bag is summed token by token, so its bits do not depend on the rest of the batch.
  Tensor pooled(const foil::View& view) const {
    const Tensor& tokens = view.data;  // [B, L]
    const Tensor length =
        (view.length.defined() ? view.length : at::full({tokens.size(0)}, tokens.size(1), at::kLong))
            .to(tokens.device());                                                              // [B]
    const Tensor counts = at::arange(tokens.size(1), length.options()) < length.unsqueeze(1);  // [B, L]
    const Tensor sum = std::get<0>(at::embedding_bag(embedding_->weight, tokens.masked_select(counts),
                                                     length.cumsum(0) - length));  // [B, embedding]
    if (options_.pooling == Pooling::sum) return sum;
    const Tensor number = length.clamp_min(1).to(sum.scalar_type()).unsqueeze(1);  // [B, 1]
    return sum / (options_.pooling == Pooling::mean ? number : number.sqrt());
  }

  Options options_;
  torch::nn::Embedding embedding_{nullptr};
  torch::nn::Sequential layers_{nullptr};
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.encoder<TextBag>("text_bag"); }
