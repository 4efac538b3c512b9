// SPDX-License-Identifier: BSD-3-Clause
// A small convolutional network for small images: for each width a 3x3 convolution with stride 2 and padding
// 1, batch norm, ReLU; then the mean over all places:  h = mean_{y,x} relu(BN(W_3 * relu(BN(W_2 * relu(BN(W_1
// * x)))))) 28x28 -> 14 -> 7 -> 4. The scheme of convolution, batch norm, ReLU: Ioffe and Szegedy, "Batch
// normalization", 2015, section 3.2.
//
//   [encoder]
//   name = "small_cnn"
//   widths = [32, 64, 128]
#include <foil/plugin.h>

#include <torch/nn/modules/conv.h>
#include <torch/types.h>

namespace {

// Channels last by its strides too where one channel makes both layouts the same memory: convolutions choose
// by the strides.
at::Tensor channels_last(const at::Tensor& x) {
  const int64_t c = x.size(1), h = x.size(2), w = x.size(3);
  return x.contiguous(at::MemoryFormat::ChannelsLast).as_strided(x.sizes(), {h * w * c, 1, w * c, c});
}

class SmallCNN final : public foil::Encoder {
 public:
  struct Options {
    std::vector<int64_t> widths = {32, 64, 128};
    void describe(foil::Fields& f) {
      f.integers("widths", widths, "channels after each convolution; the last one is the width of h",
                 foil::at_least(1));
    }
  };

  explicit SmallCNN(Options options) : options_(std::move(options)) {
    if (options_.widths.empty()) foil::refuse("widths", "[]", "a list of one or more widths");
    for (const int64_t width : options_.widths) {
      if (width > 1'000'000) foil::refuse("widths", width, "widths up to 1000000");
    }
  }

  void setup(const foil::EncoderSizes& sizes) override {
    foil::require_images("small_cnn", sizes);
    channels_ = sizes.channels;
    int64_t in = channels_;
    for (size_t i = 0; i < options_.widths.size(); ++i) {
      const int64_t width = options_.widths[i];
      const auto options = torch::nn::Conv2dOptions(in, width, 3).stride(2).padding(1).bias(false);
      convolutions_.push_back(register_module("conv" + std::to_string(i + 1), torch::nn::Conv2d(options)));
      norms_.push_back(
          register_module("bn" + std::to_string(i + 1), std::make_shared<foil::BatchNorm>(width)));
      // Channels last throughout, so that no layer converts the layout of the one before.
      at::Tensor& weight = convolutions_.back()->weight;
      weight.set_data(channels_last(weight));
      in = width;
    }
  }

  foil::Features forward(const foil::View& view) override {
    if (view.data.dim() != 4 || view.data.size(1) != channels_) {
      foil::fail(foil::Exit::failure, "small_cnn: the view is ", view.data.sizes(), ", allowed: [B, ",
                 channels_, ", H, W].");
    }
    at::Tensor x = channels_last(view.data);  // [B, C, H, W]
    for (size_t i = 0; i < norms_.size(); ++i) x = norms_[i]->forward_relu(convolutions_[i]->forward(x));
    // The mean over places, taken along memory: that of {2, 3} hands backward a gradient in the other layout.
    const at::Tensor pooled = x.permute({0, 2, 3, 1}).flatten(1, 2).mean(1);
    return {pooled, x, {}, {}};  // [B, F], [B, F, H', W']
  }

  int64_t feature_dim() const override { return options_.widths.back(); }

 private:
  Options options_;
  int64_t channels_ = 0;
  std::vector<torch::nn::Conv2d> convolutions_;
  std::vector<std::shared_ptr<foil::BatchNorm>> norms_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.encoder<SmallCNN>("small_cnn"); }
