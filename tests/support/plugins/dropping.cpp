// SPDX-License-Identifier: BSD-3-Clause
// An encoder with keyed draws, only for tests: small_cnn's layers, dropout on each map, and a residual branch
// that is left out for some samples.
#include <foil/plugin.h>

#include <torch/nn/modules/conv.h>

namespace {

using foil::Tensor;

class Dropping final : public foil::Encoder {
 public:
  struct Options {
    std::vector<int64_t> widths = {8, 16};
    double probability = 0.3;
    void describe(foil::Fields& f) {
      f.integers("widths", widths, "channels after each convolution", foil::at_least(1));
      f.number("probability", probability, "of a dropped entry, and of a branch left out",
               foil::from_below(0, 1));
    }
  };
  explicit Dropping(Options options) : options_(std::move(options)) {}

  void setup(const foil::EncoderSizes& sizes) override {
    int64_t in = sizes.channels;
    for (const int64_t width : options_.widths) {
      add(in, width, 2);
      in = width;
    }
    add(in, in, 1);
  }

  foil::Features forward(const foil::View& view) override {
    Tensor x = view.data;  // [B, C, H, W]
    for (size_t i = 0; i + 1 < norms_.size(); ++i)
      x = foil::dropout(layer(i, x), options_.probability, view.key, "dropout" + std::to_string(i));
    x = x + foil::stochastic_depth(layer(norms_.size() - 1, x), options_.probability, view.key, "branch");
    return {x.mean({2, 3}), x, {}, {}};
  }

  int64_t feature_dim() const override { return options_.widths.back(); }

 private:
  void add(int64_t in, int64_t out, int64_t stride) {
    const std::string number = std::to_string(norms_.size() + 1);
    const auto options = torch::nn::Conv2dOptions(in, out, 3).stride(stride).padding(1).bias(false);
    convolutions_.push_back(register_module("conv" + number, torch::nn::Conv2d(options)));
    norms_.push_back(register_module("bn" + number, std::make_shared<foil::BatchNorm>(out)));
  }
  Tensor layer(size_t i, const Tensor& x) { return norms_[i]->forward_relu(convolutions_[i]->forward(x)); }

  Options options_;
  std::vector<torch::nn::Conv2d> convolutions_;
  std::vector<std::shared_ptr<foil::BatchNorm>> norms_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.encoder<Dropping>("dropping"); }
