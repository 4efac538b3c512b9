// SPDX-License-Identifier: BSD-3-Clause
// Each image made gray with a probability, all its channels kept: torchvision's RandomGrayscale, drawn per
// sample. gray = 0.2989 red + 0.587 green + 0.114 blue; an image of one channel is gray already.
//
//   [[augment]]
//   name = "grayscale"
//   probability = 0.2
#include <foil/plugin.h>

namespace {
using foil::Tensor;

Tensor gray(const Tensor& x) {  // [n, 3, H, W] -> the same shape
  const Tensor luma = x.select(1, 0) * 0.2989 + x.select(1, 1) * 0.587 + x.select(1, 2) * 0.114;
  return luma.unsqueeze(1).expand_as(x);
}

class Grayscale final : public foil::Augmentation {
 public:
  struct Options {
    double probability = 0.2;
    void describe(foil::Fields& f) {
      f.number("probability", probability, "how often an image is made gray", foil::between(0, 1));
    }
  };
  explicit Grayscale(Options options) : options_(options) {}

  foil::Shape shape_after(const foil::Shape& before) const override {
    check_channels(before.sizes.at(0));
    return before;
  }

  foil::View apply(const foil::View& view, const foil::AugmentContext& context) override {
    foil::View out = view;
    out.data = foil::as_float_image(view.data);
    check_channels(out.data.size(1));
    if (out.data.size(1) == 3) out.data = foil::on_rows(out.data, context.chosen(options_.probability), gray);
    return out;
  }

 private:
  static void check_channels(int64_t channels) {
    if (channels != 1 && channels != 3)
      foil::fail(foil::Exit::usage, "grayscale: images have ", channels, " channels, allowed: 1, 3.");
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.augmentation<Grayscale>("grayscale"); }
