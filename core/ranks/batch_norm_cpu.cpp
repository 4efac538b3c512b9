// SPDX-License-Identifier: BSD-3-Clause
// The loops. `rows_of` cuts the rows into blocks that stay in the first-level cache; the compiler vectorises
// over channels, for what the processor has.
#include "ranks/batch_norm_cpu.h"

#include "api/clones.h"

#include <torch/types.h>

#include <algorithm>

#pragma GCC optimize("O3")  // GCC's -O2 leaves loops of unknown length scalar

namespace foil::batch_norm_cpu {
namespace {

using at::Tensor;

template <class T>
FOIL_INLINE T rectified_gradient(T dy, T x, T scale, T shift, bool relu) {
  return relu && x * scale + shift <= 0 ? T(0) : dy;  // a NaN passes on
}

// `out`: mean and m2, [2 C].
template <class T>
FOIL_INLINE void block_moments(const T* __restrict x, int64_t rows, int64_t channels, T* __restrict out) {
  T* __restrict mean = out;
  T* __restrict m2 = out + channels;
  std::fill(out, out + 2 * channels, T(0));
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < channels; ++c) mean[c] += x[r * channels + c];
  for (int64_t c = 0; c < channels; ++c) mean[c] /= static_cast<T>(rows);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < channels; ++c) {
      const T d = x[r * channels + c] - mean[c];
      m2[c] += d * d;
    }
  }
}

template <class T>
FOIL_INLINE void block_affine(const T* __restrict x, int64_t rows, int64_t channels,
                              const T* __restrict scale, const T* __restrict shift, bool relu,
                              T* __restrict y) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < channels; ++c) {
      const T value = x[r * channels + c] * scale[c] + shift[c];
      y[r * channels + c] = relu && value < 0 ? T(0) : value;  // a NaN stays one
    }
  }
}

// `out`: the two sums, [2 C].
template <class T>
FOIL_INLINE void block_sums(const T* __restrict dy, const T* __restrict x, int64_t rows, int64_t channels,
                            const T* __restrict mean, const T* __restrict scale, const T* __restrict shift,
                            bool relu, T* __restrict out) {
  T* __restrict sum = out;
  T* __restrict centred = out + channels;
  std::fill(out, out + 2 * channels, T(0));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < channels; ++c) {
      const T value = x[r * channels + c],
              g = rectified_gradient(dy[r * channels + c], value, scale[c], shift[c], relu);
      sum[c] += g;
      centred[c] += g * (value - mean[c]);
    }
  }
}

template <class T>
FOIL_INLINE void block_gradient(const T* __restrict dy, const T* __restrict x, int64_t rows, int64_t channels,
                                const T* __restrict mean, const T* __restrict scale,
                                const T* __restrict shift, const T* __restrict a, const T* __restrict b,
                                bool relu, T* __restrict dx) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < channels; ++c) {
      const T value = x[r * channels + c],
              g = rectified_gradient(dy[r * channels + c], value, scale[c], shift[c], relu);
      dx[r * channels + c] = (g - a[c] - b[c] * (value - mean[c])) * scale[c];
    }
  }
}

// A clone cannot be a template: one function per type.
#define FOIL_BLOCKS(T)                                                                                     \
  FOIL_CLONES void moments_of(const T* x, int64_t rows, int64_t channels, T* out) {                        \
    block_moments(x, rows, channels, out);                                                                 \
  }                                                                                                        \
  FOIL_CLONES void affine_of(const T* x, int64_t rows, int64_t channels, const T* scale, const T* shift,   \
                             bool relu, T* y) {                                                            \
    relu ? block_affine(x, rows, channels, scale, shift, true, y)                                          \
         : block_affine(x, rows, channels, scale, shift, false, y);                                        \
  }                                                                                                        \
  FOIL_CLONES void sums_of(const T* dy, const T* x, int64_t rows, int64_t channels, const T* mean,         \
                           const T* scale, const T* shift, bool relu, T* out) {                            \
    relu ? block_sums(dy, x, rows, channels, mean, scale, shift, true, out)                                \
         : block_sums(dy, x, rows, channels, mean, scale, shift, false, out);                              \
  }                                                                                                        \
  FOIL_CLONES void gradient_of(const T* dy, const T* x, int64_t rows, int64_t channels, const T* mean,     \
                               const T* scale, const T* shift, const T* a, const T* b, bool relu, T* dx) { \
    relu ? block_gradient(dy, x, rows, channels, mean, scale, shift, a, b, true, dx)                       \
         : block_gradient(dy, x, rows, channels, mean, scale, shift, a, b, false, dx);                     \
  }
FOIL_BLOCKS(float)
FOIL_BLOCKS(double)
#undef FOIL_BLOCKS

// The rows of x in blocks.
struct Blocks {
  explicit Blocks(const Tensor& x)
      : channels(x.size(1)),
        rows(channels > 0 ? x.numel() / channels : 0),
        size(std::max<int64_t>(16, 8192 / std::max<int64_t>(channels, 1))),
        count((rows + size - 1) / size) {}
  // run(block, first row, number of rows), in parallel.
  template <class Run>
  void each(const Run& run) const {
    at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) run(i, i * size, std::min(size, rows - i * size));
    });
  }
  int64_t channels, rows, size, count;
};

Tensor as(const Tensor& channels, const Tensor& x) { return channels.to(x.scalar_type()).contiguous(); }

}  // namespace

bool takes(const Tensor& x) {
  const bool type = x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble;
  const bool layout = (x.dim() == 2 && x.is_contiguous()) ||
                      (x.dim() == 4 && x.is_contiguous(at::MemoryFormat::ChannelsLast));
  return x.device().is_cpu() && type && layout;
}

Tensor in_layout_of(const Tensor& dy, const Tensor& x) {
  return dy.to(x.scalar_type())
      .contiguous(x.dim() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
}

Tensor moments(const Tensor& x) {
  const Blocks blocks(x);
  const int64_t channels = blocks.channels;
  const Tensor parts = torch::empty({blocks.count, 2 * channels}, x.options());
  const Tensor all = torch::zeros({2 * channels}, x.options().dtype(at::kDouble));
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "batch_norm_cpu::moments", [&] {
    const scalar_t* const values = x.const_data_ptr<scalar_t>();
    scalar_t* const part = parts.data_ptr<scalar_t>();
    blocks.each([&](int64_t i, int64_t row, int64_t rows) {
      moments_of(values + row * channels, rows, channels, part + i * 2 * channels);
    });
    double* const mean = all.data_ptr<double>();
    double* const m2 = mean + channels;
    const auto rows_of = [&](int64_t i) {
      return static_cast<double>(std::min(blocks.size, blocks.rows - i * blocks.size));
    };
    for (int64_t i = 0; i < blocks.count; ++i)
      for (int64_t c = 0; c < channels; ++c)
        mean[c] += rows_of(i) / static_cast<double>(blocks.rows) * part[i * 2 * channels + c];
    for (int64_t i = 0; i < blocks.count; ++i) {
      for (int64_t c = 0; c < channels; ++c) {
        const double apart = part[i * 2 * channels + c] - mean[c];
        m2[c] += part[(i * 2 + 1) * channels + c] + rows_of(i) * apart * apart;
      }
    }
  });
  return all;
}

Tensor affine(const Tensor& x, const Tensor& scale, const Tensor& shift, bool relu) {
  const Blocks blocks(x);
  const int64_t channels = blocks.channels;
  const Tensor y = torch::empty_like(x), factor = as(scale, x), term = as(shift, x);
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "batch_norm_cpu::affine", [&] {
    blocks.each([&](int64_t, int64_t row, int64_t rows) {
      affine_of(x.const_data_ptr<scalar_t>() + row * channels, rows, channels,
                factor.const_data_ptr<scalar_t>(), term.const_data_ptr<scalar_t>(), relu,
                y.data_ptr<scalar_t>() + row * channels);
    });
  });
  return y;
}

Tensor gradient_sums(const Tensor& dy, const Tensor& x, const Tensor& mean, const Tensor& scale,
                     const Tensor& shift, bool relu) {
  const Blocks blocks(x);
  const int64_t channels = blocks.channels;
  const Tensor centre = as(mean, x), factor = as(scale, x), term = as(shift, x);
  const Tensor parts = torch::empty({blocks.count, 2, channels}, x.options());
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "batch_norm_cpu::gradient_sums", [&] {
    blocks.each([&](int64_t i, int64_t row, int64_t rows) {
      sums_of(dy.const_data_ptr<scalar_t>() + row * channels, x.const_data_ptr<scalar_t>() + row * channels,
              rows, channels, centre.const_data_ptr<scalar_t>(), factor.const_data_ptr<scalar_t>(),
              term.const_data_ptr<scalar_t>(), relu, parts.data_ptr<scalar_t>() + i * 2 * channels);
    });
  });
  return parts.sum(0, /*keepdim=*/false, at::kDouble);
}

Tensor input_gradient(const Tensor& dy, const Tensor& x, const Tensor& mean, const Tensor& scale,
                      const Tensor& shift, const Tensor& a, const Tensor& b, bool relu) {
  const Blocks blocks(x);
  const int64_t channels = blocks.channels;
  const Tensor centre = as(mean, x), factor = as(scale, x), term = as(shift, x), first = as(a, x),
               second = as(b, x), dx = torch::empty_like(x);
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "batch_norm_cpu::input_gradient", [&] {
    blocks.each([&](int64_t, int64_t row, int64_t rows) {
      gradient_of(dy.const_data_ptr<scalar_t>() + row * channels,
                  x.const_data_ptr<scalar_t>() + row * channels, rows, channels,
                  centre.const_data_ptr<scalar_t>(), factor.const_data_ptr<scalar_t>(),
                  term.const_data_ptr<scalar_t>(), first.const_data_ptr<scalar_t>(),
                  second.const_data_ptr<scalar_t>(), relu, dx.data_ptr<scalar_t>() + row * channels);
    });
  });
  return dx;
}

}  // namespace foil::batch_norm_cpu
