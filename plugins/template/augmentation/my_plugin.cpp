// MyPlugin: a square of each image set to its mean colour, with a probability.
// Paper: say here which one and how its options are called there.
//
//   [[augment]]
//   name = "my_plugin"
//   side = 8
//   probability = 0.5
#include <foil/plugin.h>

#include <algorithm>

namespace {

using foil::Tensor;

class MyPlugin final : public foil::Augmentation {
 public:
  struct Options {
    int64_t side = 8;
    double probability = 0.5;
    void describe(foil::Fields& f) {
      f.integer("side", side, "of the square in pixels", foil::at_least(1));
      f.number("probability", probability, "how often an image loses a square", foil::between(0, 1));
    }
  };
  explicit MyPlugin(Options options) : options_(options) {}

  foil::View apply(const foil::View& view, const foil::AugmentContext& context) override {
    foil::View out = view;
    out.data = foil::as_float_image(view.data).clone();  // [B, C, H, W]
    const int64_t height = out.data.size(2), width = out.data.size(3);
    const int64_t rows = std::min(options_.side, height), columns = std::min(options_.side, width);
    for (int64_t b = 0; b < out.data.size(0); ++b) {
      foil::Draws draws =
          context.draws(b);  // all randomness comes from here: the same for this sample on any rank
      if (draws.uniform() >= options_.probability) continue;
      const int64_t top = draws.below(height - rows + 1), left = draws.below(width - columns + 1);
      Tensor image = out.data[b];
      image.slice(1, top, top + rows)
          .slice(2, left, left + columns)
          .copy_(image.mean({1, 2}, /*keepdim=*/true));
    }
    return out;
  }

 private:
  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.augmentation<MyPlugin>("my_plugin"); }
