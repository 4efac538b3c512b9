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

  std::vector<int64_t> shape_after(const std::vector<int64_t>& before) const override {
    if (before.at(0) != 1 && before.at(0) != 3)
      foil::fail(foil::Exit::usage, "grayscale: images have ", before[0], " channels, allowed: 1, 3.");
    return before;
  }

  foil::View apply(const foil::View& view, const foil::AugmentContext& context) override {
    foil::View out = view;
    out.data = foil::as_float_image(view.data);
    shape_after({out.data.size(1)});
    if (out.data.size(1) == 3) out.data = foil::on_rows(out.data, context.chosen(options_.probability), gray);
    return out;
  }

 private:
  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.augmentation<Grayscale>("grayscale"); }
