// SPDX-License-Identifier: BSD-3-Clause
// Brightness, contrast, saturation and hue changed by random amounts in random order, in each image with a
// probability: torchvision's ColorJitter inside a RandomApply, drawn per sample. Images have one channel
// (where saturation and hue change nothing) or three.
//
//   [[augment]]
//   name = "color_jitter"
//   brightness = 0.4
//   contrast = 0.4
//   saturation = 0.4
//   hue = 0.1
#include <foil/plugin.h>

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <numeric>

namespace {
using foil::Tensor;

enum Change { brightness, contrast, saturation, hue };
constexpr std::array<Change, 4> changes = {brightness, contrast, saturation, hue};
constexpr std::array<double, 4> neutral = {1, 1, 1, 0};  // the factors that change nothing

// What is done to one image: factor[change], in this order.
struct Jitter {
  std::array<Change, 4> order = changes;
  std::array<double, 4> factor = neutral;

  bool skips(Change change, int64_t channels) const {
    return factor[change] == neutral[change] || (channels == 1 && change >= saturation);
  }
};

// gray = 0.2989 red + 0.587 green + 0.114 blue, of numbers and of tensors
template <class T>
T gray(const T& r, const T& g, const T& b) {
  return r * 0.2989 + g * 0.587 + b * 0.114;
}
inline float gray(float r, float g, float b) { return r * 0.2989f + g * 0.587f + b * 0.114f; }

// By value, so that loops over pixels stay free of branches.
template <class Real>
Real smaller(Real a, Real b) {
  return a < b ? a : b;
}
template <class Real>
Real larger(Real a, Real b) {
  return a > b ? a : b;
}
template <class Real>
Real unit(Real x) {
  return smaller(larger(x, Real(0)), Real(1));
}

template <class Real>
void scale_image(Real* x, int64_t n, Real factor) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) x[i] = unit(factor * x[i]);
}

// Mean of value(0), ..., value(n - 1): 16 partial sums, in an order that depends on n alone.
template <class Real, class Value>
Real mean(int64_t n, Value value) {
  std::array<Real, 16> part{};
  for (int64_t i = 0; i + 16 <= n; i += 16) {
#pragma omp simd
    for (int64_t j = 0; j < 16; ++j) part[j] += value(i + j);
  }
  for (int64_t i = n - n % 16; i < n; ++i) part[i % 16] += value(i);
  return std::accumulate(part.begin(), part.end(), Real(0)) / static_cast<Real>(n);
}

template <class Real>
void blend_with_mean(Real* x, int64_t channels, int64_t n, Real factor) {
  const Real mid = channels == 1
                       ? mean<Real>(n, [=](int64_t i) { return x[i]; })
                       : mean<Real>(n, [=](int64_t i) { return gray(x[i], x[n + i], x[2 * n + i]); });
  const Real rest = (1 - factor) * mid;
#pragma omp simd
  for (int64_t i = 0; i < channels * n; ++i) x[i] = unit(factor * x[i] + rest);
}

template <class Real>
void blend_with_gray(Real* x, int64_t n, Real factor) {
  Real *const r = x, *const g = x + n, *const b = x + 2 * n;
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const Real rest = (1 - factor) * gray(r[i], g[i], b[i]);
    r[i] = unit(factor * r[i] + rest);
    g[i] = unit(factor * g[i] + rest);
    b[i] = unit(factor * b[i] + rest);
  }
}

// How far below `value` a channel lies, in parts of the chroma; `angle` in [0, 12) is the hue in sixths of
// the circle plus 5, 3, 1 for red, green, blue.
template <class Real>
Real distance(Real angle) {
  const Real a = angle - (angle < 6 ? Real(0) : Real(6));
  return unit(smaller(a, 4 - a));
}

// To hue, chroma and value, turned, and back.
template <class Real>
void turn_hue(Real* x, int64_t n, Real factor) {
  Real *const red = x, *const green = x + n, *const blue = x + 2 * n;
  const Real turn = 6 * factor;
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const Real r = red[i], g = green[i], b = blue[i];
    const Real value = larger(larger(r, g), b), chroma = value - smaller(smaller(r, g), b);
    const Real inverse = 1 / (chroma == 0 ? Real(1) : chroma);
    const Real by_red = (g - b) * inverse, by_green = 2 + (b - r) * inverse, by_blue = 4 + (r - g) * inverse;
    const Real not_red = value == g ? by_green : by_blue;
    Real angle = (value == r ? by_red : not_red) + turn;  // in [-4, 8]
    const Real up = angle < 0 ? Real(6) : Real(0), down = angle < 6 ? Real(0) : Real(6);
    angle += up - down;
    red[i] = value - chroma * distance(angle + 5);
    green[i] = value - chroma * distance(angle + 3);
    blue[i] = value - chroma * distance(angle + 1);
  }
}

template <class Real>
void jitter_image(Real* x, int64_t channels, int64_t n, const Jitter& jitter) {
  for (Change change : jitter.order) {
    if (jitter.skips(change, channels)) continue;
    const Real factor = static_cast<Real>(jitter.factor[change]);
    if (change == brightness) scale_image(x, channels * n, factor);
    if (change == contrast) blend_with_mean(x, channels, n, factor);
    if (change == saturation) blend_with_gray(x, n, factor);
    if (change == hue) turn_hue(x, n, factor);
  }
}

// On the CPU: plain loops, one image after another, so that the batch does not matter.
Tensor jitter_by_loops(const Tensor& images, const std::vector<Jitter>& jitter) {
  const Tensor x = images.contiguous();
  const int64_t channels = x.size(1), n = x.size(2) * x.size(3);
  Tensor out = at::empty_like(x);
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "color_jitter", [&] {
    const scalar_t* const in = x.const_data_ptr<scalar_t>();
    scalar_t* const data = out.mutable_data_ptr<scalar_t>();
    at::parallel_for(0, x.size(0), 1, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        std::copy_n(in + b * channels * n, channels * n, data + b * channels * n);
        jitter_image(data + b * channels * n, channels, n, jitter[b]);
      }
    });
  });
  return out;
}

// One change of [n, C, H, W]; factor [n, 1, 1, 1].
Tensor changed(const Tensor& x, Change change, const Tensor& factor) {
  if (change == brightness) return (x * factor).clamp_(0, 1);
  const Tensor r = x.select(1, 0).unsqueeze(1), g = x.select(1, x.size(1) / 2).unsqueeze(1),
               b = x.select(1, x.size(1) - 1).unsqueeze(1);
  if (change == hue) {
    const Tensor value = x.amax(1, true), chroma = value - x.amin(1, true);
    const Tensor divisor = at::where(chroma == 0, at::ones_like(chroma), chroma);
    const Tensor by_red = (g - b) / divisor, by_green = 2 + (b - r) / divisor,
                 by_blue = 4 + (r - g) / divisor;
    const Tensor angle = at::where(value == r, by_red, at::where(value == g, by_green, by_blue)) + 6 * factor;
    const Tensor a =
        (angle + at::tensor({5, 3, 1}, x.options()).view({1, 3, 1, 1})).remainder_(6);  // [n, 3, H, W]
    return value - chroma * at::minimum(a, 4 - a).clamp_(0, 1);
  }
  Tensor other = x.size(1) == 1 ? x : gray(r, g, b);
  if (change == contrast) other = other.mean({1, 2, 3}, true);
  return (x * factor + other * (1 - factor)).clamp_(0, 1);
}

// On any device: in each of the four rounds, each change for the images whose turn it is.
Tensor jitter_by_tensors(const Tensor& images, const std::vector<Jitter>& jitter) {
  Tensor x = images.clone();
  for (size_t round = 0; round < changes.size(); ++round)
    for (Change change : changes) {
      std::vector<int64_t> rows;
      std::vector<double> factors;
      for (size_t b = 0; b < jitter.size(); ++b)
        if (jitter[b].order[round] == change && !jitter[b].skips(change, x.size(1))) {
          rows.push_back(static_cast<int64_t>(b));
          factors.push_back(jitter[b].factor[change]);
        }
      if (rows.empty()) continue;
      const Tensor row = at::tensor(rows).to(x.device());
      x.index_copy_(
          0, row,
          changed(x.index_select(0, row), change, at::tensor(factors).to(x.options()).view({-1, 1, 1, 1})));
    }
  return x;
}

class ColorJitter final : public foil::Augmentation {
 public:
  struct Options {
    double brightness = 0.4;
    double contrast = 0.4;
    double saturation = 0.4;
    double hue = 0.1;
    double probability = 0.8;
    void describe(foil::Fields& f) {
      f.number("brightness", brightness, "factor from [max(0, 1 - b), 1 + b]", foil::at_least(0));
      f.number("contrast", contrast,
               "factor from [max(0, 1 - c), 1 + c]: towards the mean gray of the image, or away",
               foil::at_least(0));
      f.number("saturation", saturation,
               "factor from [max(0, 1 - s), 1 + s]: towards the gray image, or away", foil::at_least(0));
      f.number("hue", hue, "turn from [-h, h], in turns of the colour circle", foil::between(0, 0.5));
      f.number("probability", probability, "how often an image is changed at all", foil::between(0, 1));
    }
  };
  explicit ColorJitter(Options options) : options_(options) {}

  foil::Shape shape_after(const foil::Shape& before) const override {
    check_channels(before.sizes.at(0));
    return before;
  }

  Jitter draw(foil::Draws draws) const {
    Jitter jitter;
    if (draws.uniform() >= options_.probability) return jitter;
    for (int64_t i = 3; i > 0; --i) std::swap(jitter.order[i], jitter.order[draws.below(i + 1)]);
    const std::pair<Change, double> spreads[] = {
        {brightness, options_.brightness}, {contrast, options_.contrast}, {saturation, options_.saturation}};
    for (const auto& [change, spread] : spreads) {
      jitter.factor[change] = draws.uniform(std::max(0.0, 1 - spread), 1 + spread);
    }
    jitter.factor[hue] = draws.uniform(-options_.hue, options_.hue);
    return jitter;
  }

  foil::View apply(const foil::View& view, const foil::AugmentContext& context) override {
    foil::View out = view;
    const Tensor x = foil::as_float_image(view.data);
    check_channels(x.size(1));
    std::vector<Jitter> jitter;
    for (int64_t b = 0; b < x.size(0); ++b) jitter.push_back(draw(context.draws(b)));
    out.data = x.device().is_cpu() ? jitter_by_loops(x, jitter) : jitter_by_tensors(x, jitter);
    return out;
  }

 private:
  static void check_channels(int64_t channels) {
    if (channels != 1 && channels != 3)
      foil::fail(foil::Exit::usage, "color_jitter: images have ", channels, " channels, allowed: 1, 3.");
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.augmentation<ColorJitter>("color_jitter"); }
