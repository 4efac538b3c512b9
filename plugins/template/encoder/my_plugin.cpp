// MyPlugin: a convolution with stride 2, batch norm and ReLU for each width, then the mean over all places.
// Paper: say here which one; parameter names are the published ones, so that weights load.
//
//   [encoder]
//   name = "my_plugin"
//   widths = [32, 64, 128]
#include <foil/plugin.h>

#include <torch/nn/modules/conv.h>

namespace {

class MyPlugin final : public foil::Encoder {
 public:
  struct Options {
    std::vector<int64_t> widths = {32, 64, 128};
    double dropout = 0;
    void describe(foil::Fields& f) {
      f.integers("widths", widths, "channels after each convolution", foil::at_least(1));
      f.number("dropout", dropout, "share of the features that is dropped in training",
               foil::from_below(0, 1));
    }
  };
  explicit MyPlugin(Options options) : options_(std::move(options)) {
    if (options_.widths.empty()) foil::refuse("widths", "[]", "a list of one or more widths");
  }

  void setup(const foil::EncoderSizes& sizes) override {
    foil::require_images("my_plugin", sizes);
    channels_ = sizes.channels;
    int64_t in = channels_;
    for (const int64_t width : options_.widths) {
      const std::string number = std::to_string(norms_.size() + 1);
      const auto options = torch::nn::Conv2dOptions(in, width, 3)
                               .stride(2)
                               .padding(1)
                               .bias(false);  // the norm brings the bias
      convolutions_.push_back(register_module("conv" + number, torch::nn::Conv2d(options)));
      norms_.push_back(register_module("bn" + number, std::make_shared<foil::BatchNorm>(width)));
      in = width;
    }
  }

  foil::Features forward(const foil::View& view) override {
    if (view.data.dim() != 4 || view.data.size(1) != channels_)
      foil::fail(foil::Exit::failure, "my_plugin: the view is ", view.data.sizes(), ", allowed: [B, ",
                 channels_, ", H, W].");
    foil::Tensor x = view.data;  // [B, C, H, W]
    for (size_t i = 0; i < norms_.size(); ++i) x = norms_[i]->forward_relu(convolutions_[i]->forward(x));
    const foil::Tensor pooled = x.mean({2, 3});  // [B, F]
    // The draws follow the samples, on any rank and after a resume; torch::dropout's do not.
    return {
        foil::dropout(pooled, options_.dropout, view.key, "pooled"), x, {}, {}};  // [B, F], [B, F, H', W']
  }

  int64_t feature_dim() const override { return options_.widths.back(); }

 private:
  Options options_;
  int64_t channels_ = 0;
  std::vector<torch::nn::Conv2d> convolutions_;
  std::vector<std::shared_ptr<foil::BatchNorm>> norms_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.encoder<MyPlugin>("my_plugin"); }
