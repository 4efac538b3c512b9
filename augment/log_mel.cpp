// SPDX-License-Identifier: BSD-3-Clause
// Waves [B, T] as spectrograms [B, 1, mels, frames]: how loud each pitch is in each stretch of time, both on
// the scales of the ear.
//
//   S(m, f) = log(epsilon + sum_k w_m(k) |X(f, k)|^2)
//   X(f, k) = sum_{i < window} hann(i) x(f hop - window / 2 + i) e^{-2 pi j i k / n}
//
// Frame f has its middle at sample f hop, so that of a wave of T valid samples there are 1 + T / hop (rounded
// down); x is 0 before and behind the valid samples, however much padding follows them in the batch. hann(i)
// = 1/2 - 1/2 cos(2 pi i / window), n is the power of two from `window` on, and w_m a triangle over the
// frequencies k rate / n: it rises from p_m to p_{m+1} and falls to p_{m+2}, where p_0, ..., p_{mels+1} lie
// evenly from 0 to rate / 2 on the scale mel(p) = 2595 log10(1 + p / 700), that of HTK (Young et al., "The
// HTK Book", 2006, section 5.4). Triangles are not divided by their area. All as in torchaudio's
// MelSpectrogram, which mirrors the wave at its ends.
//
// The result has `frames` frames: of a longer wave a stretch, drawn in training and the middle one in
// evaluation, a shorter one is followed by silence. With normalise = "utterance" the mean of a sample's own
// frames is 0 and their deviation 1, and what follows them is 0.
//
//   [[augment]]
//   name = "log_mel"
//   rate = 8000
//   mels = 40
//   frames = 64
#include <foil/plugin.h>

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>

namespace {
using foil::Tensor;

constexpr double kPi = 3.14159265358979323846;
constexpr int64_t kLanes = 16;     // frames that are transformed side by side
constexpr double kSilence = 1e-3;  // a deviation below it is no sound but rounding
using Lanes = std::array<double, kLanes>;

// 1 / 2 - cos(2 pi i / n) / 2 for i < n.
std::vector<double> hann(int64_t n) {
  std::vector<double> window;
  for (int64_t i = 0; i < n; ++i)
    window.push_back(0.5 - 0.5 * std::cos(2 * kPi * static_cast<double>(i) / static_cast<double>(n)));
  return window;
}

// w_m: the weights of the frequencies first, first + 1, ...
struct Filter {
  int64_t first = 0;
  std::vector<double> weight;
};

double mel_of(double hertz) { return 2595 * std::log10(1 + hertz / 700); }
double hertz_of(double mel) { return 700 * (std::pow(10, mel / 2595) - 1); }

// Of the frequencies 0, step, ..., rate / 2.
std::vector<Filter> filters_of(int64_t mels, double rate, double step) {
  const auto point = [&](int64_t m) {
    return hertz_of(mel_of(rate / 2) * static_cast<double>(m) / static_cast<double>(mels + 1));
  };
  std::vector<Filter> filters(static_cast<size_t>(mels));
  for (int64_t m = 0; m < mels; ++m) {
    const double low = point(m), middle = point(m + 1), high = point(m + 2);
    Filter& filter = filters[static_cast<size_t>(m)];
    filter.first = static_cast<int64_t>(std::floor(low / step)) + 1;
    for (int64_t k = filter.first;; ++k) {
      const double hertz = step * static_cast<double>(k);
      if (hertz >= high || hertz > rate / 2) break;
      filter.weight.push_back(std::min((hertz - low) / (middle - low), (high - hertz) / (high - middle)));
    }
  }
  return filters;
}

// |X(0)|^2, ..., |X(n / 2)|^2 of kLanes sequences of n = 2^k numbers side by side, by the transform of half
// the length, even entries as real and odd ones as imaginary parts (Cooley and Tukey, 1965). Plain loops: a
// library's transform may round by how many sequences it is given and by how many threads there are.
class Fourier {
 public:
  explicit Fourier(int64_t n) : half_(n / 2), re_(half_), im_(half_), power_(half_ + 1) {
    for (int64_t i = 0; i < half_; ++i) {
      int64_t place = 0;
      for (int64_t bit = 1; bit < half_; bit *= 2) place = 2 * place + (i & bit ? 1 : 0);
      place_.push_back(place);
    }
    for (int64_t k = 0; k <= half_; ++k) {
      const double turn = 2 * kPi * static_cast<double>(k) / static_cast<double>(n);
      cos_.push_back(std::cos(turn));
      sin_.push_back(std::sin(turn));
    }
  }

  // Entry i of all sequences, to be written before each transform.
  Lanes& entry(int64_t i) { return (i % 2 ? im_ : re_)[place_[i / 2]]; }

  void transform() {
    for (int64_t length = 2; length <= half_; length *= 2)
      for (int64_t begin = 0; begin < half_; begin += length)
        for (int64_t j = 0; j < length / 2; ++j)
          butterfly(begin + j, begin + j + length / 2, 2 * half_ / length * j);
    for (int64_t k = 0; k <= half_; ++k) join(k);
  }

  const Lanes& power(int64_t k) const { return power_[k]; }

 private:
  // (a, b) -> (a + w b, a - w b), w = e^{-2 pi j turn / n}
  void butterfly(int64_t a, int64_t b, int64_t turn) {
    const double c = cos_[turn], s = sin_[turn];
    Lanes &ar = re_[a], &ai = im_[a], &br = re_[b], &bi = im_[b];
#pragma omp simd
    for (int64_t l = 0; l < kLanes; ++l) {
      const double wr = c * br[l] + s * bi[l], wi = c * bi[l] - s * br[l];
      br[l] = ar[l] - wr;
      bi[l] = ai[l] - wi;
      ar[l] += wr;
      ai[l] += wi;
    }
  }
  // X(k) = E + e^{-2 pi j k / n} O, of the even and of the odd entries
  void join(int64_t k) {
    const double c = cos_[k], s = sin_[k];
    const Lanes &ar = re_[k % half_], &ai = im_[k % half_];
    const Lanes &br = re_[(half_ - k) % half_], &bi = im_[(half_ - k) % half_];
    Lanes& out = power_[k];
#pragma omp simd
    for (int64_t l = 0; l < kLanes; ++l) {
      const double er = ar[l] + br[l], ei = ai[l] - bi[l], orr = ai[l] + bi[l], oi = br[l] - ar[l];
      const double xr = er + c * orr + s * oi, xi = ei + c * oi - s * orr;
      out[l] = (xr * xr + xi * xi) / 4;
    }
  }

  int64_t half_;
  std::vector<int64_t> place_;
  std::vector<double> cos_, sin_;
  std::vector<Lanes> re_, im_, power_;
};

// What is made of one wave: frames start, ..., start + count - 1 of its `samples` valid samples.
struct Stretch {
  int64_t samples, start, count;
};

class LogMel final : public foil::Augmentation {
 public:
  enum class Normalise { none, utterance };
  struct Options {
    double rate = 8000;
    int64_t window = 256;
    int64_t hop = 128;
    int64_t mels = 40;
    int64_t frames = 64;
    double epsilon = 1e-6;
    Normalise normalise = Normalise::utterance;
    void describe(foil::Fields& f) {
      f.number("rate", rate, "samples per second of the waves", foil::at_least(1));
      f.integer("window", window, "samples of a frame", foil::between(4, 1 << 16));
      f.integer("hop", hop, "samples from one frame to the next", foil::between(1, 1 << 16));
      f.integer("mels", mels, "filters, the height of the spectrogram", foil::between(1, 1024));
      f.integer("frames", frames, "frames, the width of the spectrogram", foil::between(1, 1 << 16));
      f.number("epsilon", epsilon, "added to the power under the logarithm, of waves in [-1, 1]",
               foil::above(0));
      f.choice("normalise", normalise, {{"utterance", Normalise::utterance}, {"none", Normalise::none}},
               "utterance: each sample to mean 0 and deviation 1");
    }
  };

  explicit LogMel(Options options) : options_(options), window_(hann(options.window)) {
    if (options_.hop > options_.window)
      foil::refuse("hop", options_.hop, "up to window = " + std::to_string(options_.window));
    while (length_ < options_.window) length_ *= 2;
    const double step = options_.rate / static_cast<double>(length_);
    filters_ = filters_of(options_.mels, options_.rate, step);
    for (const Filter& filter : filters_) {
      if (!filter.weight.empty()) continue;
      std::ostringstream allowed;
      allowed << "fewer, or a larger window: one of " << options_.window << " samples tells frequencies "
              << step << " Hz apart, and a filter would hold none";
      foil::refuse("mels", options_.mels, allowed.str());
    }
  }

  std::vector<foil::Kind> kinds() const override { return {foil::Kind::audio}; }

  foil::Shape shape_after(const foil::Shape& before) const override {
    if (before.sizes.size() != 1)
      foil::fail(foil::Exit::usage, "log_mel: a sample is ", at::IntArrayRef(before.sizes),
                 ", allowed: waves [T].");
    if (before.range > 0 && static_cast<double>(before.range) != options_.rate)
      foil::refuse("rate", options_.rate,
                   std::to_string(before.range) + ", the samples per second of the data");
    return {before.kind, {1, options_.mels, options_.frames}, before.range};
  }

  foil::View apply(const foil::View& view, const foil::AugmentContext& context) override {
    return spectrograms(view, [&](int64_t b, int64_t spare) { return context.draws(b).below(spare + 1); });
  }
  foil::View evaluate(const foil::View& view) override {
    return spectrograms(view, [](int64_t, int64_t spare) { return spare / 2; });
  }
  std::string evaluation_name() const override {
    std::ostringstream name;
    name << "log_mel" << options_.mels << "x" << options_.frames << "_rate" << options_.rate << "_window"
         << options_.window << "_hop" << options_.hop << "_epsilon" << options_.epsilon
         << (options_.normalise == Normalise::utterance ? "_utterance" : "");
    return name.str();
  }

  // The two ways to compute it; waves are floats. On the CPU: plain loops, one wave after another, so that
  // the batch does not matter.
  Tensor by_loops(const Tensor& waves, const std::vector<Stretch>& stretches) const {
    const Tensor x = waves.contiguous();
    Tensor out = at::empty({x.size(0), 1, options_.mels, options_.frames}, x.options());
    const int64_t size = options_.mels * options_.frames;
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "log_mel", [&] {
      const scalar_t* const from = x.const_data_ptr<scalar_t>();
      scalar_t* const to = out.mutable_data_ptr<scalar_t>();
      at::parallel_for(0, x.size(0), 1, [&](int64_t begin, int64_t end) {
        Fourier fourier(length_);
        for (int64_t b = begin; b < end; ++b) {
          const Stretch& stretch = stretches[static_cast<size_t>(b)];
          std::fill_n(to + b * size, size, static_cast<scalar_t>(std::log(options_.epsilon)));
          for (int64_t f = 0; f < stretch.count; f += kLanes)
            write_frames(from + b * x.size(1), stretch, f, fourier, to + b * size);
          if (options_.normalise == Normalise::utterance) standardise(to + b * size, stretch.count);
        }
      });
    });
    return out;
  }

  // On any device.
  Tensor by_tensors(const Tensor& waves, const std::vector<Stretch>& stretches) const {
    const auto on = waves.options().dtype(at::kLong);
    std::vector<int64_t> samples, starts, counts;
    for (const Stretch& stretch : stretches) {
      samples.push_back(stretch.samples);
      starts.push_back(stretch.start);
      counts.push_back(stretch.count);
    }
    const auto column = [&](const std::vector<int64_t>& values) {
      return at::tensor(values, at::kLong).to(on).unsqueeze(1);  // [B, 1]
    };
    const int64_t width = (options_.frames - 1) * options_.hop + options_.window;
    const Tensor place = column(starts) * options_.hop - options_.window / 2 + at::arange(width, on);
    const Tensor outside = (place < 0).logical_or(place >= column(samples));  // [B, width]
    const Tensor between_zeros = at::constant_pad_nd(waves.to(at::kDouble), {0, 1});
    const Tensor x = between_zeros.gather(1, place.masked_fill(outside, waves.size(1)));
    const Tensor window = at::tensor(window_, at::kDouble).to(x.device());
    const Tensor frames = x.unfold(1, options_.window, options_.hop) * window;  // [B, frames, window]
    const Tensor power = at::view_as_real(at::fft_rfft(frames, length_)).square().sum(-1);
    const Tensor log = power.matmul(weights().to(x.device())).add(options_.epsilon).log().transpose(1, 2);
    const Tensor own = (at::arange(options_.frames, on) < column(counts)).unsqueeze(1);  // [B, 1, frames]
    Tensor out = log.masked_fill(~own, std::log(options_.epsilon));
    if (options_.normalise == Normalise::utterance) {
      const Tensor n = own.sum({1, 2}, true) * options_.mels;
      const Tensor centred = (out - (log * own).sum({1, 2}, true) / n) * own;
      out = centred / (centred.square().sum({1, 2}, true) / n).sqrt().clamp_min(kSilence);
    }
    return out.unsqueeze(1).to(waves.scalar_type());
  }

 private:
  template <class Start>
  foil::View spectrograms(const foil::View& view, Start start) const {
    const Tensor x = foil::as_float_wave(view.data);
    const Tensor length = view.length.defined() ? view.length.contiguous() : Tensor();
    std::vector<Stretch> stretches;
    for (int64_t b = 0; b < x.size(0); ++b) {
      const int64_t samples =
          length.defined() ? std::min(length.const_data_ptr<int64_t>()[b], x.size(1)) : x.size(1);
      const int64_t all = 1 + samples / options_.hop, spare = std::max<int64_t>(all - options_.frames, 0);
      stretches.push_back({samples, spare > 0 ? start(b, spare) : 0, all - spare});
    }
    foil::View out = view;
    out.data = x.device().is_cpu() ? by_loops(x, stretches) : by_tensors(x, stretches);
    out.length.reset();
    return out;
  }

  // Frames f, ..., f + kLanes - 1 of a stretch, as far as it has them -> out [mels, frames].
  template <class Real>
  void write_frames(const Real* wave, const Stretch& stretch, int64_t f, Fourier& fourier, Real* out) const {
    const int64_t count = std::min(kLanes, stretch.count - f);
    for (int64_t l = 0; l < count; ++l) {
      const int64_t first = (stretch.start + f + l) * options_.hop - options_.window / 2;
      for (int64_t i = 0; i < length_; ++i) {
        const int64_t t = first + i;
        const bool inside = i < options_.window && t >= 0 && t < stretch.samples;
        fourier.entry(i)[l] = inside ? window_[i] * static_cast<double>(wave[t]) : 0;
      }
    }
    fourier.transform();
    for (const Filter& filter : filters_) {
      Lanes sum{};
      for (size_t i = 0; i < filter.weight.size(); ++i) {
        const Lanes& power = fourier.power(filter.first + static_cast<int64_t>(i));
        const double weight = filter.weight[i];
#pragma omp simd
        for (int64_t l = 0; l < kLanes; ++l) sum[l] += weight * power[l];
      }
      for (int64_t l = 0; l < count; ++l) out[f + l] = static_cast<Real>(std::log(options_.epsilon + sum[l]));
      out += options_.frames;
    }
  }

  // The first `count` frames of x [mels, frames] to mean 0 and deviation 1, the others to 0.
  template <class Real>
  void standardise(Real* x, int64_t count) const {
    const auto mean = [&](auto value) {
      double sum = 0;
      for (int64_t m = 0; m < options_.mels; ++m)
        for (int64_t f = 0; f < count; ++f) sum += value(static_cast<double>(x[m * options_.frames + f]));
      return sum / static_cast<double>(options_.mels * count);
    };
    const double centre = mean([](double v) { return v; });
    const double variance = mean([&](double v) { return (v - centre) * (v - centre); });
    const double scale = 1 / std::max(std::sqrt(variance), kSilence);
    for (int64_t m = 0; m < options_.mels; ++m, x += options_.frames) {
      for (int64_t f = 0; f < count; ++f)
        x[f] = static_cast<Real>((static_cast<double>(x[f]) - centre) * scale);
      std::fill(x + count, x + options_.frames, Real(0));
    }
  }

  // The filters as a matrix [n / 2 + 1, mels].
  Tensor weights() const {
    Tensor all = at::zeros({options_.mels, length_ / 2 + 1}, at::kDouble);
    for (int64_t m = 0; m < options_.mels; ++m) {
      const Filter& filter = filters_[static_cast<size_t>(m)];
      std::copy(filter.weight.begin(), filter.weight.end(),
                all.mutable_data_ptr<double>() + m * all.size(1) + filter.first);
    }
    return all.t();
  }

  Options options_;
  std::vector<double> window_;
  int64_t length_ = 4;  // n of the transform
  std::vector<Filter> filters_;
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.augmentation<LogMel>("log_mel",
                              {.samples = {"frames = 9", "frames = 20\nwindow = 100\nhop = 50\nmels = 20"}});
}
