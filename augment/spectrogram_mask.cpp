// SPDX-License-Identifier: BSD-3-Clause
// Stretches of time and bands of frequencies of each spectrogram set to 0, at places and of widths drawn for
// each: the masks of SpecAugment (Park et al., "SpecAugment: a simple data augmentation method for automatic
// speech recognition", Interspeech 2019, section 2). `count` times: a width from {0, ..., frequency} and a
// first row from all that fit, then the same along time. It belongs behind log_mel, whose mean is 0 by
// default. The paper's names: `frequency` is F, `time` T, `count` m_F = m_T.
//
//   [[augment]]
//   name = "spectrogram_mask"
//   frequency = 8
//   time = 12
//   count = 2
#include <foil/plugin.h>

#include <utility>

namespace {
using foil::Tensor;

class SpectrogramMask final : public foil::Augmentation {
 public:
  struct Options {
    int64_t frequency = 8;
    int64_t time = 12;
    int64_t count = 2;
    void describe(foil::Fields& f) {
      f.integer("frequency", frequency, "most rows of a band", foil::at_least(0));
      f.integer("time", time, "most frames of a stretch", foil::at_least(0));
      f.integer("count", count, "how many bands, and how many stretches", foil::at_least(0));
    }
  };
  explicit SpectrogramMask(Options options) : options_(options) {}

  std::vector<foil::Kind> kinds() const override { return {foil::Kind::audio}; }
  foil::Shape shape_after(const foil::Shape& before) const override {
    if (before.sizes.size() != 3)
      foil::fail(foil::Exit::usage, "spectrogram_mask: a sample is ", at::IntArrayRef(before.sizes),
                 ", allowed: spectrograms [C, H, W], as log_mel makes them.");
    check_fits(before.sizes[1], before.sizes[2]);
    return before;
  }

  foil::View apply(const foil::View& view, const foil::AugmentContext& context) override {
    const Tensor& x = view.data;
    if (x.dim() != 4 || !x.is_floating_point())
      foil::fail(foil::Exit::usage, "spectrogram_mask got ", x.dtype(), " ", x.sizes(),
                 ", allowed: spectrograms [B, C, H, W] of floats, as log_mel makes them.");
    check_fits(x.size(2), x.size(3));
    foil::View out = view;
    out.data = x.clone();
    for (int64_t b = 0; b < x.size(0); ++b) {
      foil::Draws draws = context.draws(b);
      const Tensor one = out.data[b];  // [C, H, W]
      for (int64_t i = 0; i < options_.count; ++i)
        for (const auto& [axis, most] : {std::pair{1, options_.frequency}, {2, options_.time}}) {
          const int64_t width = draws.below(most + 1);
          one.narrow(axis, draws.below(one.size(axis) - width + 1), width).zero_();
        }
    }
    return out;
  }

 private:
  void check_fits(int64_t height, int64_t width) const {
    if (options_.frequency > height)
      foil::refuse("frequency", options_.frequency,
                   "up to " + std::to_string(height) + ", the rows there are");
    if (options_.time > width)
      foil::refuse("time", options_.time, "up to " + std::to_string(width) + ", the frames there are");
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.augmentation<SpectrogramMask>("spectrogram_mask"); }
