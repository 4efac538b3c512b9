// SPDX-License-Identifier: BSD-3-Clause
// Pixels at or above a threshold inverted (1 - x), in each image with a probability: torchvision's
// RandomSolarize, drawn per sample.
//
//   [[augment]]
//   name = "solarize"
//   probability = 0.2
#include <foil/plugin.h>

namespace {
using foil::Tensor;

Tensor solarized(const Tensor& x, double threshold) { return at::where(x >= threshold, 1 - x, x); }

class Solarize final : public foil::Augmentation {
 public:
  struct Options {
    double threshold = 0.5;
    double probability = 0.2;
    void describe(foil::Fields& f) {
      f.number("threshold", threshold, "pixels from this value on are inverted", foil::between(0, 1));
      f.number("probability", probability, "how often an image is solarized", foil::between(0, 1));
    }
  };
  explicit Solarize(Options options) : options_(options) {}

  foil::View apply(const foil::View& view, const foil::AugmentContext& context) override {
    foil::View out = view;
    out.data = foil::on_rows(foil::as_float_image(view.data), context.chosen(options_.probability),
                             [&](const Tensor& x) { return solarized(x, options_.threshold); });
    return out;
  }

 private:
  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.augmentation<Solarize>("solarize"); }
