// SPDX-License-Identifier: BSD-3-Clause
// Each image blurred with a probability, by a Gaussian of a drawn width, the border reflected: torchvision's
// GaussianBlur, drawn per sample. SimCLR's kernel is a tenth of the image side, made odd.
//
//   [[augment]]
//   name = "gaussian_blur"
//   kernel_size = 9
//   probability = 0.5
#include <foil/plugin.h>

#include <ATen/Parallel.h>

#include <cmath>

namespace {
using foil::Tensor;

// One Gaussian per image [n][size], each of sum 1.
std::vector<std::vector<double>> kernels(const std::vector<double>& sigma, int64_t size) {
  std::vector<std::vector<double>> all;
  for (double s : sigma) {
    std::vector<double> kernel;
    double sum = 0;
    for (int64_t k = 0; k < size; ++k) {
      const double x = static_cast<double>(k - size / 2) / s;
      sum += kernel.emplace_back(std::exp(-0.5 * x * x));
    }
    for (double& value : kernel) value /= sum;
    all.push_back(std::move(kernel));
  }
  return all;
}

// The position inside [0, n) that a position up to n - 1 outside mirrors to, the edge itself not repeated.
int64_t reflect(int64_t i, int64_t n) { return n - 1 - std::abs(n - 1 - std::abs(i)); }

// One plane [h, w]: along the rows into `across`, then along the columns into `out`. `padded` holds w + size
// - 1 values.
template <class Real>
void blur_plane(const Real* in, Real* out, int64_t h, int64_t w, const std::vector<double>& kernel,
                Real* padded, Real* across) {
  const auto size = static_cast<int64_t>(kernel.size()), radius = size / 2;
  for (int64_t y = 0; y < h; ++y) {
    for (int64_t x = -radius; x < w + radius; ++x) padded[x + radius] = in[y * w + reflect(x, w)];
    Real* const row = across + y * w;
    std::fill_n(row, w, Real(0));
    for (int64_t k = 0; k < size; ++k) {
      const Real weight = static_cast<Real>(kernel[k]);
#pragma omp simd
      for (int64_t x = 0; x < w; ++x) row[x] += weight * padded[x + k];
    }
  }
  for (int64_t y = 0; y < h; ++y) {
    Real* const row = out + y * w;
    std::fill_n(row, w, Real(0));
    for (int64_t k = 0; k < size; ++k) {
      const Real weight = static_cast<Real>(kernel[k]);
      const Real* const source = across + reflect(y + k - radius, h) * w;
#pragma omp simd
      for (int64_t x = 0; x < w; ++x) row[x] += weight * source[x];
    }
  }
}

// On the CPU: plain loops, one image after another, so that the batch does not matter.
Tensor blur_by_loops(const Tensor& images, const std::vector<double>& sigma, int64_t size) {
  const auto kernel = kernels(sigma, size);
  const Tensor x = images.contiguous();
  const int64_t channels = x.size(1), h = x.size(2), w = x.size(3);
  Tensor out = at::empty_like(x);
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "gaussian_blur", [&] {
    const scalar_t* const in = x.const_data_ptr<scalar_t>();
    scalar_t* const data = out.mutable_data_ptr<scalar_t>();
    at::parallel_for(0, x.size(0), 1, [&](int64_t begin, int64_t end) {
      std::vector<scalar_t> padded(w + size - 1), across(h * w);
      for (int64_t plane = begin * channels; plane < end * channels; ++plane)
        blur_plane(in + plane * h * w, data + plane * h * w, h, w, kernel[plane / channels], padded.data(),
                   across.data());
    });
  });
  return out;
}

// On any device: shifted images, weighted and added in a fixed order.
Tensor blur_by_tensors(const Tensor& images, const std::vector<double>& sigma, int64_t size) {
  Tensor weight = at::empty({size, images.size(0)}, at::kDouble);
  const auto kernel = kernels(sigma, size);
  auto entry = weight.accessor<double, 2>();
  for (size_t b = 0; b < kernel.size(); ++b)
    for (int64_t k = 0; k < size; ++k) entry[k][b] = kernel[b][k];
  weight = weight.to(images.scalar_type()).to(images.device()).view({size, -1, 1, 1, 1});
  Tensor x = images;
  for (int64_t dim : {3, 2}) {
    const int64_t length = x.size(dim), r = size / 2;
    const Tensor padded = at::reflection_pad2d(
        x, dim == 3 ? std::vector<int64_t>{r, r, 0, 0} : std::vector<int64_t>{0, 0, r, r});
    Tensor sum = at::zeros_like(x);
    for (int64_t k = 0; k < size; ++k) sum.add_(padded.narrow(dim, k, length) * weight[k]);
    x = sum;
  }
  return x;
}

Tensor blur(const Tensor& images, const std::vector<double>& sigma, int64_t size) {
  return images.device().is_cpu() ? blur_by_loops(images, sigma, size) : blur_by_tensors(images, sigma, size);
}

class GaussianBlur final : public foil::Augmentation {
 public:
  struct Options {
    int64_t kernel_size = 3;
    std::vector<double> sigma = {0.1, 2.0};
    double probability = 0.5;
    void describe(foil::Fields& f) {
      f.integer("kernel_size", kernel_size, "pixels a side, odd", foil::between(1, 1 << 10));
      f.numbers("sigma", sigma, "standard deviation of the Gaussian in pixels: lowest, highest",
                foil::above(0));
      f.number("probability", probability, "how often an image is blurred", foil::between(0, 1));
    }
  };
  explicit GaussianBlur(Options options) : options_(std::move(options)) {
    foil::check_interval("sigma", options_.sigma);
    if (options_.kernel_size % 2 == 0) foil::refuse("kernel_size", options_.kernel_size, "an odd number");
  }

  foil::Shape shape_after(const foil::Shape& before) const override {
    check_side(std::min(before.sizes.at(1), before.sizes.at(2)));
    return before;
  }

  std::vector<double> draw_sigma(const std::vector<int64_t>& rows,
                                 const foil::AugmentContext& context) const {
    std::vector<double> sigma;
    for (int64_t b : rows) {
      foil::Draws draws = context.draws(b);
      draws.uniform();  // the one that chose the row
      sigma.push_back(draws.uniform(options_.sigma[0], options_.sigma[1]));
    }
    return sigma;
  }

  foil::View apply(const foil::View& view, const foil::AugmentContext& context) override {
    foil::View out = view;
    const Tensor x = foil::as_float_image(view.data);
    check_side(std::min(x.size(2), x.size(3)));
    const std::vector<int64_t> rows = context.chosen(options_.probability);
    const std::vector<double> sigma = draw_sigma(rows, context);
    out.data = foil::on_rows(x, rows,
                             [&](const Tensor& chosen) { return blur(chosen, sigma, options_.kernel_size); });
    return out;
  }

 private:
  // The shorter side of the images; -1: not known yet.
  void check_side(int64_t side) const {
    if (side >= 0 && side <= options_.kernel_size / 2)
      foil::refuse("kernel_size", options_.kernel_size,
                   "an odd number below " + std::to_string(2 * side) + ", twice the image side");
  }

  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.augmentation<GaussianBlur>("gaussian_blur"); }
