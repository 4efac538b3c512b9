// SPDX-License-Identifier: BSD-3-Clause
// A multilayer perceptron for vectors and for the nodes of a graph, whose edges it does not see; images are
// flattened. For each width a linear layer, batch norm, ReLU:
//   h = relu(BN(W_n ... relu(BN(W_1 x))))          without batch norm: relu(W_i x + b_i)
// Batch norm between a linear map without a bias and the ReLU: Ioffe and Szegedy, "Batch normalization",
// 2015, section 3.2. The last layer is W_n x + b_n alone by last_activation = false.
//
// With `decoder` it is an auto-encoder: layers of the same widths in the other order, from h back to the
// width of x, give what losses compare with x; its last layer is linear. With widths [500, 500, 2000, 10],
// neither batch norm nor a last activation, it is that of SDCN (Bo et al., "Structural deep clustering
// network", WWW 2020, section 3.2), which SCGC trains.
//
//   [encoder]
//   name = "mlp"
//   widths = [256, 256]
#include <foil/graph.h>
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
    bool last_activation = true;
    bool decoder = false;
    void describe(foil::Fields& f) {
      f.integers("widths", widths, "widths of the layers; the last one is the width of h", foil::at_least(1));
      f.flag("batch_norm", batch_norm, "batch norm after each linear layer");
      f.flag("last_activation", last_activation, "batch norm and ReLU after the last layer too");
      f.flag("decoder", decoder,
             "the same layers backwards, from h to the data, for losses that compare them");
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
    for (size_t i = 0; i < options_.widths.size(); ++i) {
      add_layer(*layers_, in, options_.widths[i], i + 1 < options_.widths.size() || options_.last_activation);
      in = options_.widths[i];
    }
    if (!options_.decoder) return;
    decoder_ = register_module("decoder", torch::nn::Sequential());
    for (size_t i = options_.widths.size(); i-- > 0;)
      add_layer(*decoder_, options_.widths[i], i > 0 ? options_.widths[i - 1] : inputs_, i > 0);
  }

  foil::Features forward(const foil::View& view) override {
    const bool sparse = view.data.layout() == at::kSparseCsr;
    const at::Tensor x = sparse ? view.data : view.data.flatten(1);  // [B, inputs]
    if (x.size(1) != inputs_) {
      foil::fail(foil::Exit::failure, "mlp: the view is ", view.data.sizes(), ", allowed: ", inputs_,
                 " numbers for each sample.");
    }
    foil::Features features;
    features.pooled = sparse ? from_sparse(x) : layers_->forward(x);  // [B, F]
    if (options_.decoder) features.decoded = decoder_->forward(features.pooled);
    return features;
  }

  int64_t feature_dim() const override { return options_.widths.back(); }

 private:
  // A linear layer with batch norm and ReLU, or, as the last one, with a bias alone.
  void add_layer(torch::nn::SequentialImpl& layers, int64_t in, int64_t out, bool activation) const {
    const bool norm = options_.batch_norm && activation;
    layers.push_back(torch::nn::Linear(torch::nn::LinearOptions(in, out).bias(!norm)));
    if (norm) layers.push_back(foil::BatchNorm(out));
    if (activation) layers.push_back(torch::nn::ReLU(torch::nn::ReLUOptions(/*inplace=*/true)));
  }

  // The layers of features in CSR layout, which LibTorch's linear layer does not take.
  at::Tensor from_sparse(const at::Tensor& x) {
    const auto* const first = layers_[0]->as<torch::nn::Linear>();
    at::Tensor y = foil::node_linear(x, first->weight);
    if (first->bias.defined()) y = y + first->bias;
    for (auto layer = std::next(layers_->begin()); layer != layers_->end(); ++layer) y = layer->forward(y);
    return y;
  }

  Options options_;
  int64_t inputs_ = 0;
  torch::nn::Sequential layers_{nullptr}, decoder_{nullptr};
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.encoder<MLP>("mlp"); }
