// SPDX-License-Identifier: BSD-3-Clause
// ResNet-18, -34 and -50 without the classifier: He et al., "Deep residual learning for image recognition",
// 2016, table 1.
//   stem; four stages of blocks y = relu(F(x) + shortcut(x)), channels 64, 128, 256, 512 (times 4 for
//   depth 50); mean over places
//   basic block (18, 34):   F = BN(3x3 * relu(BN(3x3, stride s * x)))
//   bottleneck (50):        F = BN(1x1 * relu(BN(3x3, stride s * relu(BN(1x1 * x)))))
//   shortcut: x itself, or BN(1x1, stride s * x) where the shape changes
// Names, initialisation (Kaiming normal, fan out) and the stride on the bottleneck's 3x3 are torchvision's.
// `small_images` is the stem for 32x32 (SimCLR, Chen et al., 2020, appendix B.9): a 3x3 convolution with
// stride 1, and no max pooling.
//
//   [encoder]
//   name = "resnet"
//   depth = 18
//   small_images = true
#include <foil/plugin.h>

#include <torch/nn/init.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/types.h>

namespace {

using at::Tensor;

torch::nn::Conv2d convolution(int64_t in, int64_t out, int64_t kernel, int64_t stride) {
  torch::nn::Conv2d layer(
      torch::nn::Conv2dOptions(in, out, kernel).stride(stride).padding(kernel / 2).bias(false));
  torch::nn::init::kaiming_normal_(layer->weight, 0, torch::kFanOut, torch::kReLU);
  return layer;
}

// Both kinds of block: convolutions conv1, conv2, ... with bn1, bn2, ... and the shortcut, in torchvision the
// module `downsample`.
class Block final : public torch::nn::Module {
 public:
  Block(int64_t in, int64_t width, int64_t stride, bool bottleneck) {
    const int64_t out = bottleneck ? 4 * width : width;
    if (bottleneck) {
      add(in, width, 1, 1);
      add(width, width, 3, stride);
      add(width, out, 1, 1);
    } else {
      add(in, width, 3, stride);
      add(width, out, 3, 1);
    }
    if (stride != 1 || in != out) {
      shortcut_ = register_module(
          "downsample", torch::nn::Sequential(convolution(in, out, 1, stride), foil::BatchNorm(out)));
    }
  }

  Tensor forward(const Tensor& x) {
    Tensor y = x;
    for (size_t i = 0; i < norms_.size(); ++i) {
      y = convolutions_[i]->forward(y);
      y = i + 1 < norms_.size() ? norms_[i]->forward_relu(y) : norms_[i]->forward(y);
    }
    return y.add_(shortcut_.is_empty() ? x : shortcut_->forward(x)).relu_();
  }

 private:
  void add(int64_t in, int64_t out, int64_t kernel, int64_t stride) {
    const std::string number = std::to_string(norms_.size() + 1);
    convolutions_.push_back(register_module("conv" + number, convolution(in, out, kernel, stride)));
    norms_.push_back(register_module("bn" + number, std::make_shared<foil::BatchNorm>(out)));
  }

  std::vector<torch::nn::Conv2d> convolutions_;
  std::vector<std::shared_ptr<foil::BatchNorm>> norms_;
  torch::nn::Sequential shortcut_{nullptr};
};

class ResNet final : public foil::Encoder {
 public:
  struct Options {
    int64_t depth = 18;
    bool small_images = false;
    void describe(foil::Fields& f) {
      f.integer("depth", depth, "18, 34 or 50 layers", foil::between(18, 50));
      f.flag("small_images", small_images,
             "a 3x3 stem with stride 1 and without pooling, for images of 32x32");
    }
  };

  explicit ResNet(Options options) : options_(options) {
    if (options_.depth != 18 && options_.depth != 34 && options_.depth != 50) {
      foil::refuse("depth", options_.depth, "18, 34, 50");
    }
  }

  void setup(const foil::EncoderSizes& sizes) override {
    foil::require_images("resnet", sizes);
    channels_ = sizes.channels;
    conv1_ = register_module(
        "conv1", options_.small_images ? convolution(channels_, 64, 3, 1) : convolution(channels_, 64, 7, 2));
    bn1_ = register_module("bn1", std::make_shared<foil::BatchNorm>(64));
    const bool bottleneck = options_.depth == 50;
    const std::vector<int64_t> blocks =
        options_.depth == 18 ? std::vector<int64_t>{2, 2, 2, 2} : std::vector<int64_t>{3, 4, 6, 3};
    int64_t in = 64;
    for (size_t stage = 0; stage < blocks.size(); ++stage) {
      torch::nn::Sequential layer;
      const int64_t width = 64 << stage;
      for (int64_t block = 0; block < blocks[stage]; ++block) {
        layer->push_back(Block(in, width, block == 0 && stage > 0 ? 2 : 1, bottleneck));
        in = bottleneck ? 4 * width : width;
      }
      layers_.push_back(register_module("layer" + std::to_string(stage + 1), layer));
    }
  }

  foil::Features forward(const foil::View& view) override {
    if (view.data.dim() != 4 || view.data.size(1) != channels_) {
      foil::fail(foil::Exit::failure, "resnet: the view is ", view.data.sizes(), ", allowed: [B, ", channels_,
                 ", H, W].");
    }
    Tensor x = bn1_->forward_relu(conv1_->forward(view.data));  // [B, 64, H', W']
    if (!options_.small_images) x = torch::max_pool2d(x, /*kernel_size=*/3, /*stride=*/2, /*padding=*/1);
    for (torch::nn::Sequential& layer : layers_) x = layer->forward(x);
    return {x.mean({2, 3}), x, {}, {}};  // [B, F], [B, F, H'', W'']
  }

  int64_t feature_dim() const override { return options_.depth == 50 ? 2048 : 512; }

 private:
  Options options_;
  int64_t channels_ = 0;
  torch::nn::Conv2d conv1_{nullptr};
  std::shared_ptr<foil::BatchNorm> bn1_;
  std::vector<torch::nn::Sequential> layers_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.encoder<ResNet>("resnet"); }
