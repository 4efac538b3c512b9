// SPDX-License-Identifier: BSD-3-Clause
// A random part of each image, resized to one size by antialiased bilinear interpolation: torchvision's
// RandomResizedCrop on float images. The box has `scale` times the area of the image and the aspect ratio
// `ratio` (drawn log-uniformly); after ten boxes that do not fit, the largest centred one of an allowed
// ratio. Takes images of different sizes, so it may be the first of a pipeline.
//
//   [[augment]]
//   name = "random_resized_crop"
//   size = [28]
//   scale = [0.2, 1.0]
#include <foil/plugin.h>

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

namespace {
using foil::Tensor;

struct Box {
  int64_t top, left, height, width;
};

Box draw_box(foil::Draws draws, int64_t height, int64_t width, const std::vector<double>& scale,
             const std::vector<double>& ratios) {
  const double low = ratios[0], high = ratios[1];
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double area = draws.uniform(scale[0], scale[1]) * static_cast<double>(height * width);
    const double ratio = std::exp(draws.uniform(std::log(low), std::log(high)));
    const auto w = static_cast<int64_t>(std::nearbyint(std::sqrt(area * ratio)));
    const auto h = static_cast<int64_t>(std::nearbyint(std::sqrt(area / ratio)));
    if (w < 1 || w > width || h < 1 || h > height) continue;
    const int64_t top = draws.below(height - h + 1);
    return {top, draws.below(width - w + 1), h, w};
  }
  const double ratio = static_cast<double>(width) / static_cast<double>(height);
  int64_t h = height, w = width;
  if (ratio < low)
    h = std::max<int64_t>(1, static_cast<int64_t>(std::nearbyint(static_cast<double>(width) / low)));
  if (ratio > high)
    w = std::max<int64_t>(1, static_cast<int64_t>(std::nearbyint(static_cast<double>(height) * high)));
  return {(height - h) / 2, (width - w) / 2, h, w};
}

// One direction of the resampling: result i is the sum over k of weight[k * out + i] * source[first[i] + k].
template <class Real>
struct Taps {
  int64_t count = 0;
  std::vector<int64_t> first;
  std::vector<Real> weight;

  // From `in` source pixels starting at `offset` to `out`: a triangle of the wider of the two pixel sizes,
  // normalised, times `gain`.
  void set(int64_t in, int64_t offset, int64_t out, double gain) {
    const double step = static_cast<double>(in) / static_cast<double>(out), support = std::max(step, 1.0);
    count = std::min(in, static_cast<int64_t>(std::ceil(2 * support)));
    first.resize(out);
    weight.resize(count * out);
    for (int64_t i = 0; i < out; ++i) {
      const double centre = (static_cast<double>(i) + 0.5) * step;
      const int64_t start = std::min(static_cast<int64_t>(std::max(0.0, centre - support + 0.5)), in - count);
      const auto height = [&](int64_t k) {
        return std::max(0.0, 1 - std::abs(static_cast<double>(start + k) + 0.5 - centre) / support);
      };
      double sum = 0;
      for (int64_t k = 0; k < count; ++k) sum += height(k);
      for (int64_t k = 0; k < count; ++k) weight[k * out + i] = static_cast<Real>(height(k) * gain / sum);
      first[i] = offset + start;
    }
  }
};

template <class Pixel>
double gain() {
  return std::is_same_v<Pixel, uint8_t> ? 1.0 / 255 : 1.0;
}

template <class Pixel>
struct Image {
  const Pixel* data;  // [C, height, width]
  int64_t height, width;
};

// What one thread needs, allocated once.
template <class Real>
struct Scratch {
  Taps<Real> down, across;
  std::vector<Real> line;
};

// The box of an image -> out [C, h, w], row by row: down into one line, then across.
template <class Pixel, class Real>
void resize_box(const Image<Pixel>& image, const Box& box, Real* out, int64_t channels, int64_t h, int64_t w,
                Scratch<Real>& scratch) {
  auto& [down, across, buffer] = scratch;
  down.set(box.height, box.top, h, gain<Pixel>());
  across.set(box.width, 0, w, 1);
  if (static_cast<int64_t>(buffer.size()) < box.width) buffer.resize(box.width);
  Real* const line = buffer.data();
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t y = 0; y < h; ++y, out += w) {
      const Pixel* source = image.data + (c * image.height + down.first[y]) * image.width + box.left;
      const Real top = down.weight[y];
#pragma omp simd
      for (int64_t x = 0; x < box.width; ++x) line[x] = top * static_cast<Real>(source[x]);
      for (int64_t k = 1; k < down.count; ++k) {
        source += image.width;
        const Real weight = down.weight[k * h + y];
#pragma omp simd
        for (int64_t x = 0; x < box.width; ++x) line[x] += weight * static_cast<Real>(source[x]);
      }
      for (int64_t x = 0; x < w; ++x) out[x] = across.weight[x] * line[across.first[x]];
      for (int64_t k = 1; k < across.count; ++k)
        for (int64_t x = 0; x < w; ++x) out[x] += across.weight[k * w + x] * line[across.first[x] + k];
    }
}

// On the CPU: plain loops, one image after another, so that the batch does not matter.
template <class Pixel>
Tensor crop_by_loops(const std::vector<Image<Pixel>>& images, const std::vector<Box>& boxes, int64_t channels,
                     int64_t h, int64_t w) {
  using Real = std::conditional_t<std::is_same_v<Pixel, double>, double, float>;
  const auto batch = static_cast<int64_t>(images.size());
  Tensor out = at::empty({batch, channels, h, w}, c10::CppTypeToScalarType<Real>::value);
  Real* const data = out.mutable_data_ptr<Real>();
  at::parallel_for(0, batch, 1, [&](int64_t begin, int64_t end) {
    Scratch<Real> scratch;
    for (int64_t b = begin; b < end; ++b)
      resize_box(images[b], boxes[b], data + b * channels * h * w, channels, h, w, scratch);
  });
  return out;
}

template <class Pixel>
Tensor crop_by_loops(const Tensor& batch, const std::vector<Box>& boxes, int64_t h, int64_t w) {
  const Tensor x = batch.contiguous();
  std::vector<Image<Pixel>> images;
  for (int64_t b = 0; b < x.size(0); ++b)
    images.push_back({x.const_data_ptr<Pixel>() + b * x.stride(0), x.size(2), x.size(3)});
  return crop_by_loops(images, boxes, x.size(1), h, w);
}

// One direction of a batch on any device, by gathers: no sum whose order could depend on the batch.
Tensor resample(const Tensor& images, int64_t dim, const std::vector<Taps<double>>& taps, int64_t out) {
  const auto batch = static_cast<int64_t>(taps.size());
  int64_t most = 0;
  for (const auto& t : taps) most = std::max(most, t.count);
  Tensor first = at::empty({batch, out}, at::kLong), weight = at::zeros({most, batch, out}, at::kDouble);
  for (int64_t b = 0; b < batch; ++b) {
    std::copy_n(taps[b].first.data(), out, first.mutable_data_ptr<int64_t>() + b * out);
    for (int64_t k = 0; k < taps[b].count; ++k)
      std::copy_n(taps[b].weight.data() + k * out, out,
                  weight.mutable_data_ptr<double>() + (k * batch + b) * out);
  }
  std::vector<int64_t> along = {batch, 1, 1, 1}, shape = images.sizes().vec();
  along[dim] = shape[dim] = out;
  first = first.to(images.device()).view(along);
  weight = weight.to(images.scalar_type() == at::kDouble ? at::kDouble : at::kFloat).to(images.device());
  Tensor sum;
  for (int64_t k = 0; k < most; ++k) {
    const Tensor pixel =
        images.gather(dim, (first + k).clamp_max(images.size(dim) - 1).expand(shape)) * weight[k].view(along);
    sum = k ? sum.add_(pixel) : pixel;
  }
  return sum;
}

Tensor crop_by_tensors(const Tensor& images, const std::vector<Box>& boxes, int64_t h, int64_t w) {
  std::vector<Taps<double>> down(boxes.size()), across(boxes.size());
  for (size_t b = 0; b < boxes.size(); ++b) {
    down[b].set(boxes[b].height, boxes[b].top, h, images.scalar_type() == at::kByte ? gain<uint8_t>() : 1);
    across[b].set(boxes[b].width, boxes[b].left, w, 1);
  }
  return resample(resample(images, 2, down, h), 3, across, w);
}

// Images [B, C, H, W] in uint8, float or double -> [B, C, h, w] in float or double.
Tensor crop(const Tensor& x, const std::vector<Box>& boxes, int64_t h, int64_t w) {
  if (!x.device().is_cpu()) return crop_by_tensors(x, boxes, h, w);
  if (x.scalar_type() == at::kByte) return crop_by_loops<uint8_t>(x, boxes, h, w);
  if (x.scalar_type() == at::kDouble) return crop_by_loops<double>(x, boxes, h, w);
  return crop_by_loops<float>(x, boxes, h, w);
}

class RandomResizedCrop final : public foil::Augmentation {
 public:
  struct Options {
    std::vector<int64_t> size = {32};
    std::vector<double> scale = {0.08, 1.0};
    std::vector<double> ratio = {3.0 / 4.0, 4.0 / 3.0};
    void describe(foil::Fields& f) {
      f.integers("size", size, "height and width of the result in pixels; one number for a square",
                 foil::between(1, 1 << 14));
      f.numbers("scale", scale, "area of the crop as a part of the image: lowest, highest",
                foil::above_up_to(0, 1));
      f.numbers("ratio", ratio, "width / height of the crop: lowest, highest", foil::above(0));
    }
  };
  explicit RandomResizedCrop(Options options) : options_(std::move(options)) {
    if (options_.size.empty() || options_.size.size() > 2)
      foil::refuse("size", "a list of " + std::to_string(options_.size.size()),
                   "one number, or height and width");
    foil::check_interval("scale", options_.scale);
    foil::check_interval("ratio", options_.ratio);
    height_ = options_.size.front();
    width_ = options_.size.back();
  }

  bool accepts_ragged() const override { return true; }
  foil::Shape shape_after(const foil::Shape& before) const override {
    return {before.kind, {before.sizes.at(0), height_, width_}, before.range};
  }

  foil::View apply(const foil::View& view, const foil::AugmentContext& context) override {
    return cropped(view, [&](int64_t b, int64_t height, int64_t width) {
      return draw_box(context.draws(b), height, width, options_.scale, options_.ratio);
    });
  }
  // In evaluation: the largest centred box of the result's shape.
  foil::View evaluate(const foil::View& view) override {
    return cropped(view, [&](int64_t, int64_t height, int64_t width) {
      const double factor = std::min(static_cast<double>(height) / static_cast<double>(height_),
                                     static_cast<double>(width) / static_cast<double>(width_));
      const auto h =
          std::min(height, static_cast<int64_t>(std::nearbyint(factor * static_cast<double>(height_))));
      const auto w =
          std::min(width, static_cast<int64_t>(std::nearbyint(factor * static_cast<double>(width_))));
      return Box{(height - h) / 2, (width - w) / 2, std::max<int64_t>(h, 1), std::max<int64_t>(w, 1)};
    });
  }
  std::string evaluation_name() const override {
    return "centre" + std::to_string(height_) + "x" + std::to_string(width_);
  }

 private:
  // The box of row b of an image of this height and width.
  using BoxOf = std::function<Box(int64_t b, int64_t height, int64_t width)>;

  foil::View cropped(const foil::View& view, const BoxOf& box_of) const {
    foil::View out = view;
    out.ragged.clear();
    out.data = view.data.defined() ? from_batch(view.data, box_of) : from_ragged(view.ragged, box_of);
    return out;
  }

  Tensor from_batch(const Tensor& images, const BoxOf& box_of) const {
    const Tensor x =
        images.scalar_type() == at::kByte && images.dim() == 4 ? images : foil::as_float_image(images);
    std::vector<Box> boxes;
    for (int64_t b = 0; b < x.size(0); ++b) boxes.push_back(box_of(b, x.size(2), x.size(3)));
    return crop(x, boxes, height_, width_);
  }

  Tensor from_ragged(const std::vector<Tensor>& images, const BoxOf& box_of) const {
    const int64_t channels = images.empty() || images[0].dim() == 0 ? 0 : images[0].size(0);
    std::vector<Tensor> whole;  // owns what `sources` points to
    std::vector<Image<uint8_t>> sources;
    std::vector<Box> boxes;
    for (size_t b = 0; b < images.size(); ++b) {
      const Tensor x = whole.emplace_back(images[b].contiguous());
      if (x.dim() != 3 || x.size(0) != channels || x.scalar_type() != at::kByte)
        foil::fail(foil::Exit::usage, "random_resized_crop: image ", b, " is ", x.dtype(), " ", x.sizes(),
                   ", allowed: ", caffe2::TypeMeta::Make<uint8_t>(), " [", channels, ", H, W]");
      sources.push_back({x.const_data_ptr<uint8_t>(), x.size(1), x.size(2)});
      boxes.push_back(box_of(static_cast<int64_t>(b), x.size(1), x.size(2)));
    }
    return crop_by_loops(sources, boxes, channels, height_, width_);
  }

  Options options_;
  int64_t height_, width_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.augmentation<RandomResizedCrop>("random_resized_crop"); }
