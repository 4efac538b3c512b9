// SPDX-License-Identifier: BSD-3-Clause
// Waves moved in time and made louder or softer, by amounts drawn for each: y(t) = 10^(gain / 20) x(t -
// shift). Zeros enter where a wave leaves, what would pass the end of its row is cut, and what is louder than
// full scale is clipped, as a recorder does. The valid samples move along: a wave that begins earlier by 100
// samples has 100 fewer of them, one that begins later more, as far as its row goes. It belongs before
// log_mel.
//
//   [[augment]]
//   name = "wave_jitter"
//   shift = 200
//   gain = [-6, 6]
#include <foil/plugin.h>

#include <algorithm>
#include <cmath>

namespace {
using foil::Tensor;

class WaveJitter final : public foil::Augmentation {
 public:
  struct Options {
    int64_t shift = 200;
    std::vector<double> gain = {-6, 6};
    void describe(foil::Fields& f) {
      f.integer("shift", shift, "most samples by which a wave begins earlier or later", foil::at_least(0));
      f.numbers("gain", gain, "in decibels: lowest, highest", foil::between(-60, 60));
    }
  };
  explicit WaveJitter(Options options) : options_(std::move(options)) {
    foil::check_interval("gain", options_.gain);
  }

  std::vector<foil::Kind> kinds() const override { return {foil::Kind::audio}; }
  foil::Shape shape_after(const foil::Shape& before) const override {
    if (before.sizes.size() != 1)
      foil::fail(foil::Exit::usage, "wave_jitter: a sample is ", at::IntArrayRef(before.sizes),
                 ", allowed: waves [T].");
    return before;
  }

  foil::View apply(const foil::View& view, const foil::AugmentContext& context) override {
    foil::View out = view;
    const Tensor x = foil::as_float_wave(view.data);
    const int64_t length = x.size(1);
    out.data = at::zeros_like(x);
    if (view.length.defined()) out.length = view.length.clone();
    std::vector<double> factor;
    for (int64_t b = 0; b < x.size(0); ++b) {
      foil::Draws draws = context.draws(b);
      const int64_t drawn = draws.below(2 * options_.shift + 1) - options_.shift;
      const int64_t shift = std::clamp(drawn, -length, length), kept = length - std::abs(shift);
      out.data[b]
          .narrow(0, std::max<int64_t>(shift, 0), kept)
          .copy_(x[b].narrow(0, std::max<int64_t>(-shift, 0), kept));
      if (out.length.defined()) {
        int64_t& valid = out.length.mutable_data_ptr<int64_t>()[b];
        valid = std::clamp<int64_t>(valid + shift, 0, length);
      }
      factor.push_back(std::pow(10, draws.uniform(options_.gain[0], options_.gain[1]) / 20));
    }
    out.data.mul_(at::tensor(factor, at::kDouble).to(x.options()).unsqueeze(1)).clamp_(-1, 1);
    return out;
  }

 private:
  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.augmentation<WaveJitter>("wave_jitter"); }
