// SPDX-License-Identifier: BSD-3-Clause
// (x - mean) / std, channel by channel: torchvision's Normalize. Nothing is drawn; it belongs at the end of a
// pipeline, since the others expect images in [0, 1].
//
//   [[augment]]
//   name = "normalize"
//   mean = [0.485, 0.456, 0.406]
//   std = [0.229, 0.224, 0.225]
#include <foil/plugin.h>

namespace {
using foil::Tensor;

class Normalize final : public foil::Augmentation {
 public:
  struct Options {
    std::vector<double> mean = {0.5};
    std::vector<double> std = {0.5};
    void describe(foil::Fields& f) {
      f.numbers("mean", mean, "subtracted; one number per channel, or one for all");
      f.numbers("std", std, "divides; one number per channel, or one for all", foil::above(0));
    }
  };
  explicit Normalize(Options options) : options_(std::move(options)) {}

  foil::Shape shape_after(const foil::Shape& before) const override {
    check_channels(before.sizes.at(0));
    return before;
  }

  foil::View apply(const foil::View& view, const foil::AugmentContext&) override { return evaluate(view); }
  foil::View evaluate(const foil::View& view) override {
    foil::View out = view;
    const Tensor x = foil::as_float_image(view.data);
    check_channels(x.size(1));
    const auto channel = [&](const std::vector<double>& value) {
      return at::tensor(value).to(x.options()).view({1, -1, 1, 1});
    };
    out.data = (x - channel(options_.mean)).div_(channel(options_.std));
    return out;
  }
  std::string evaluation_name() const override { return "normalised"; }

 private:
  void check_channels(int64_t channels) const {
    check("mean", options_.mean, channels);
    check("std", options_.std, channels);
  }
  static void check(const char* option, const std::vector<double>& value, int64_t channels) {
    const auto count = static_cast<int64_t>(value.size());
    if (count != 1 && count != channels)
      foil::refuse(option, "a list of " + std::to_string(count),
                   "a list of 1 or " + std::to_string(channels) + ", one per channel");
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.augmentation<Normalize>("normalize"); }
