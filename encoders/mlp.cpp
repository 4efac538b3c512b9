// SPDX-License-Identifier: BSD-3-Clause
// A multilayer perceptron for vectors; images are flattened. For each width a linear layer, batch norm, ReLU:
//   h = relu(BN(W_n ... relu(BN(W_1 x))))          without batch norm: relu(W_i x + b_i)
// Batch norm between a linear map without a bias and the ReLU: Ioffe and Szegedy, "Batch normalization",
// 2015, section 3.2.
//
//   [encoder]
//   name = "mlp"
//   widths = [256, 256]
#include <foil/plugin.h>

#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

namespace {

class MLP final : public foil::Encoder {
 public:
  struct Options {
    std::vector<int64_t> widths = {256, 256};
    bool batch_norm = true;
    void describe(foil::Fields& f) {
      f.integers("widths", widths, "widths of the layers; the last one is the width of h", foil::at_least(1));
      f.flag("batch_norm", batch_norm, "batch norm after each linear layer");
    }
  };

  explicit MLP(Options options) : options_(std::move(options)) {
    if (options_.widths.empty()) foil::refuse("widths", "[]", "a list of one or more widths");
    for (const int64_t width : options_.widths) {
      if (width > 1'000'000) foil::refuse("widths", width, "widths up to 1000000");
    }
  }

  void setup(const foil::EncoderSizes& sizes) override {
    if (sizes.channels == 0)
      foil::fail(foil::Exit::usage, "mlp: the data is ", foil::name_of(sizes.kind), " of length ",
                 sizes.length, ", allowed: vectors, images, spectrograms.");
    inputs_ = sizes.channels * std::max<int64_t>(sizes.height, 1) *
              std::max<int64_t>(sizes.width, 1);  // vectors have no height
    layers_ = register_module("layers", torch::nn::Sequential());
    int64_t in = inputs_;
    for (int64_t width : options_.widths) {
      layers_->push_back(torch::nn::Linear(torch::nn::LinearOptions(in, width).bias(!options_.batch_norm)));
      if (options_.batch_norm) layers_->push_back(foil::BatchNorm(width));
      layers_->push_back(torch::nn::ReLU(torch::nn::ReLUOptions(/*inplace=*/true)));
      in = width;
    }
  }

  foil::Features forward(const foil::View& view) override {
    const at::Tensor x = view.data.flatten(1);  // [B, inputs]
    if (x.size(1) != inputs_) {
      foil::fail(foil::Exit::failure, "mlp: the view is ", view.data.sizes(), ", allowed: ", inputs_,
                 " numbers for each sample.");
    }
    return {layers_->forward(x), {}, {}, {}};  // [B, F]
  }

  int64_t feature_dim() const override { return options_.widths.back(); }

 private:
  Options options_;
  int64_t inputs_ = 0;
  torch::nn::Sequential layers_{nullptr};
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.encoder<MLP>("mlp"); }
