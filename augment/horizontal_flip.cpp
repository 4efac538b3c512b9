// SPDX-License-Identifier: BSD-3-Clause
// Each image mirrored left to right with a probability: torchvision's RandomHorizontalFlip, drawn per sample.
//
//   [[augment]]
//   name = "horizontal_flip"
//   probability = 0.5
#include <foil/plugin.h>

#include <ATen/Parallel.h>

#include <algorithm>

namespace {
using foil::Tensor;

// Each line of w pixels reversed.
template <class Real>
void mirror(const Real* from, Real* to, int64_t lines, int64_t w) {
  for (int64_t line = 0; line < lines; ++line, from += w, to += w) {
#pragma omp simd
    for (int64_t x = 0; x < w; ++x) to[x] = from[w - 1 - x];
  }
}

// On the CPU: one pass over the batch.
Tensor flip_by_loops(const Tensor& images, const std::vector<int64_t>& rows) {
  const Tensor x = images.contiguous();
  const int64_t lines = x.size(1) * x.size(2), w = x.size(3);
  Tensor out = at::empty_like(x);
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "horizontal_flip", [&] {
    const scalar_t* const from = x.const_data_ptr<scalar_t>();
    scalar_t* const to = out.mutable_data_ptr<scalar_t>();
    at::parallel_for(0, x.size(0), 1, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        const int64_t at = b * lines * w;
        if (std::binary_search(rows.begin(), rows.end(), b))
          mirror(from + at, to + at, lines, w);
        else
          std::copy_n(from + at, lines * w, to + at);
      }
    });
  });
  return out;
}

// On any device.
Tensor flip_by_tensors(const Tensor& images, const std::vector<int64_t>& rows) {
  return foil::on_rows(images, rows, [](const Tensor& x) { return x.flip(3); });
}

class HorizontalFlip final : public foil::Augmentation {
 public:
  struct Options {
    double probability = 0.5;
    void describe(foil::Fields& f) {
      f.number("probability", probability, "how often an image is mirrored", foil::between(0, 1));
    }
  };
  explicit HorizontalFlip(Options options) : options_(options) {}

  foil::View apply(const foil::View& view, const foil::AugmentContext& context) override {
    foil::View out = view;
    const Tensor x = foil::as_float_image(view.data);
    const std::vector<int64_t> rows = context.chosen(options_.probability);
    out.data = x.device().is_cpu() ? flip_by_loops(x, rows) : flip_by_tensors(x, rows);
    return out;
  }

 private:
  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.augmentation<HorizontalFlip>("horizontal_flip"); }
