// SPDX-License-Identifier: BSD-3-Clause
// An encoder without a kink, only for tests: for each width a 3x3 convolution with stride 2, batch norm,
// tanh; then the mean over all places. A ReLU turns a difference of rounding into one of the gradient
// wherever an activation changes its sign, so that two runs in fp32 part at a step that depends on the
// processor; here their distance is rounding, amplified alike.
#include <foil/plugin.h>

#include <torch/nn/modules/conv.h>
#include <torch/types.h>

namespace {

class Smooth final : public foil::Encoder {
 public:
  struct Options {
    std::vector<int64_t> widths = {8, 16};
    void describe(foil::Fields& f) {
      f.integers("widths", widths, "channels after each convolution", foil::at_least(1));
    }
  };
  explicit Smooth(Options options) : options_(std::move(options)) {}

  void setup(const foil::EncoderSizes& sizes) override {
    int64_t in = sizes.channels;
    for (size_t i = 0; i < options_.widths.size(); ++i) {
      const int64_t width = options_.widths[i];
      const auto options = torch::nn::Conv2dOptions(in, width, 3).stride(2).padding(1).bias(false);
      convolutions_.push_back(register_module("conv" + std::to_string(i + 1), torch::nn::Conv2d(options)));
      norms_.push_back(
          register_module("bn" + std::to_string(i + 1), std::make_shared<foil::BatchNorm>(width)));
      in = width;
    }
  }

  foil::Features forward(const foil::View& view) override {
    at::Tensor x = view.data;  // [B, C, H, W]
    for (size_t i = 0; i < norms_.size(); ++i) x = norms_[i]->forward(convolutions_[i]->forward(x)).tanh();
    return {x.mean({2, 3}), x, {}, {}};  // [B, F]
  }

  int64_t feature_dim() const override { return options_.widths.back(); }

 private:
  Options options_;
  std::vector<torch::nn::Conv2d> convolutions_;
  std::vector<std::shared_ptr<foil::BatchNorm>> norms_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.encoder<Smooth>("smooth"); }
