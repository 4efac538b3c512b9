// SPDX-License-Identifier: BSD-3-Clause
// A sound encoder with batch norm, keyed draws and a moving average of its own, and the same encoder with one
// bug each, as people write them: to test the tests.
#include <foil/plugin.h>

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>

namespace {

using foil::Tensor;

enum class Bug {
  none,
  feature_dim_of_the_map,
  dropout_of_the_global_generator,
  dropout_in_evaluation,
  dropout_by_batch_position,
  batch_norm_of_libtorch,
  statistics_of_one_rank,
  statistics_in_a_plain_member,
  statistics_move_in_evaluation,
  writes_into_its_view,
  flattens_an_empty_batch,
  leaves_other_shapes_to_libtorch,
  divides_by_the_deviation,
  skips_batch_norm_without_rows,
  depends_on_the_batch_in_evaluation,
};

constexpr int64_t kWidth = 5;

template <Bug bug>
class Planted final : public foil::Encoder {
 public:
  struct Options {
    double drop = 0.3;
    bool branch = true;
    void describe(foil::Fields& f) {
      f.number("drop", drop, "of an entry, and of the branch", foil::from_below(0, 1));
      f.flag("branch", branch, "a residual branch that is left out for some samples");
    }
  };
  explicit Planted(Options options) : options_(options) {}

  void setup(const foil::EncoderSizes& sizes) override {
    if (sizes.height == 0) foil::fail(foil::Exit::usage, "planted: allowed: images.");
    channels_ = sizes.channels;
    conv_ = register_module("conv", convolution(channels_, 2));
    branch_ = register_module("branch", convolution(kWidth, 1));
    norm_ = register_module("norm", std::make_shared<foil::BatchNorm>(kWidth));
    if (bug == Bug::batch_norm_of_libtorch)
      other_norm_ = register_module("other", torch::nn::BatchNorm2d(kWidth));
    average_ = torch::zeros({kWidth});
    if (bug != Bug::statistics_in_a_plain_member) average_ = register_buffer("average", average_);
  }

  foil::Features forward(const foil::View& view) override {
    if (bug != Bug::leaves_other_shapes_to_libtorch &&
        (view.data.dim() != 4 || view.data.size(1) != channels_))
      foil::fail(foil::Exit::failure, "planted: the view is ", view.data.sizes(), ", allowed: [B, ",
                 channels_, ", H, W].");
    Tensor x = view.data;  // [B, C, H, W]
    if (bug == Bug::writes_into_its_view) x.sub_(0.5);
    if (bug == Bug::divides_by_the_deviation)
      x = (x - x.mean({1, 2, 3}, true)) / x.std({1, 2, 3}, true, true);
    if (bug == Bug::depends_on_the_batch_in_evaluation) x = x - x.mean({0}, true);
    x = conv_->forward(x);  // [B, 5, H', W']
    if (bug == Bug::batch_norm_of_libtorch) x = other_norm_->forward(x);
    if (bug != Bug::skips_batch_norm_without_rows || x.size(0) > 0) x = norm_->forward_relu(x);
    x = drop(x, view.key);
    if (options_.branch)
      x = x + foil::stochastic_depth(branch_->forward(x).tanh(), options_.drop, view.key, "branch");
    if (bug == Bug::flattens_an_empty_batch) x = x.reshape({x.size(0), -1}).view(x.sizes());
    const Tensor h = x.mean({2, 3}) - follow(x.mean({2, 3}));
    return {h, x, {}, {}};
  }

  int64_t feature_dim() const override { return bug == Bug::feature_dim_of_the_map ? kWidth * 4 : kWidth; }

 private:
  static torch::nn::Conv2d convolution(int64_t in, int64_t stride) {
    return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, kWidth, 3).padding(1).stride(stride).bias(false));
  }

  Tensor drop(const Tensor& x, const Tensor& key) {
    if (bug == Bug::dropout_of_the_global_generator) return torch::dropout(x, options_.drop, is_training());
    if (bug == Bug::dropout_in_evaluation && !is_training()) return torch::dropout(x, options_.drop, true);
    if (bug == Bug::dropout_by_batch_position && key.defined())
      return foil::dropout(x, options_.drop, torch::arange(x.size(0), torch::kLong), "drop");
    return foil::dropout(x, options_.drop, key, "drop");
  }

  // A moving average of the features, without gradient: here that of a fixed vector, as the sound one must
  // not look at its rank.
  Tensor follow(const Tensor& h) {
    torch::NoGradGuard no_grad;
    const bool moves = is_training() || bug == Bug::statistics_move_in_evaluation;
    if (moves && bug == Bug::statistics_of_one_rank && h.size(0) > 0)
      average_.mul_(0.9).add_(0.1 * h.mean(0));
    if (moves && bug != Bug::statistics_of_one_rank) average_.mul_(0.9).add_(0.1);
    return average_.to(h.scalar_type()).clone();
  }

  Options options_;
  int64_t channels_ = 0;
  torch::nn::Conv2d conv_{nullptr}, branch_{nullptr};
  std::shared_ptr<foil::BatchNorm> norm_;
  torch::nn::BatchNorm2d other_norm_{nullptr};
  Tensor average_;
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.encoder<Planted<Bug::none>>("sound", {.samples = {"drop = 0.6\nbranch = true"}});
  plugin.encoder<Planted<Bug::feature_dim_of_the_map>>("feature_dim_of_the_map");
  plugin.encoder<Planted<Bug::dropout_of_the_global_generator>>("dropout_of_the_global_generator");
  plugin.encoder<Planted<Bug::dropout_in_evaluation>>("dropout_in_evaluation");
  plugin.encoder<Planted<Bug::dropout_by_batch_position>>("dropout_by_batch_position");
  plugin.encoder<Planted<Bug::batch_norm_of_libtorch>>("batch_norm_of_libtorch");
  plugin.encoder<Planted<Bug::statistics_of_one_rank>>("statistics_of_one_rank");
  plugin.encoder<Planted<Bug::statistics_in_a_plain_member>>("statistics_in_a_plain_member");
  plugin.encoder<Planted<Bug::statistics_move_in_evaluation>>("statistics_move_in_evaluation");
  plugin.encoder<Planted<Bug::writes_into_its_view>>("writes_into_its_view");
  plugin.encoder<Planted<Bug::flattens_an_empty_batch>>("flattens_an_empty_batch");
  plugin.encoder<Planted<Bug::leaves_other_shapes_to_libtorch>>("leaves_other_shapes_to_libtorch");
  plugin.encoder<Planted<Bug::divides_by_the_deviation>>("divides_by_the_deviation");
  plugin.encoder<Planted<Bug::skips_batch_norm_without_rows>>("skips_batch_norm_without_rows");
  plugin.encoder<Planted<Bug::depends_on_the_batch_in_evaluation>>("depends_on_the_batch_in_evaluation");
}
