// SPDX-License-Identifier: BSD-3-Clause
// Grid rows and their products: by torch, on the CPU partly by loops that the compiler vectorises for what
// the processor has.
#include "evaluate/exact_cosine.h"

#include "api/clones.h"
#include "evaluate/checks.h"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <limits>

#pragma GCC optimize("O3")  // GCC's -O2 leaves loops of unknown length scalar

namespace foil {
namespace {

constexpr int64_t kLanes = 16;

FOIL_CLONES double dot(const float* a, const float* b, int64_t size) {
  double lane[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j)
      lane[j] += static_cast<double>(a[i + j]) * static_cast<double>(b[i + j]);
  }
  for (; i < size; ++i) lane[0] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  for (int64_t j = 1; j < kLanes; ++j) lane[0] += lane[j];
  return lane[0];
}

// A row divided by its length, on the grid. The same operations as unit_rows and the rounding of torch.
template <class T>
FOIL_INLINE void round_row_as(const T* row, int64_t size, float* out) {
  double lane[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j)
      lane[j] += static_cast<double>(row[i + j]) * static_cast<double>(row[i + j]);
  }
  for (; i < size; ++i) lane[0] += static_cast<double>(row[i]) * static_cast<double>(row[i]);
  for (int64_t j = 1; j < kLanes; ++j) lane[0] += lane[j];
  const double length = std::max(std::sqrt(lane[0]), std::numeric_limits<double>::min());
  for (i = 0; i < size; ++i)
    out[i] = static_cast<float>(std::rint(static_cast<double>(row[i]) / length * 0x1p24) * 0x1p-24);
}
FOIL_CLONES void round_row(const float* row, int64_t size, float* out) { round_row_as(row, size, out); }
FOIL_CLONES void round_row(const double* row, int64_t size, float* out) { round_row_as(row, size, out); }

template <class T>
void round_rows(const T* rows, int64_t count, int64_t size, float* out) {
  at::parallel_for(0, count, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) round_row(rows + i * size, size, out + i * size);
  });
}

}  // namespace

Tensor exact_unit_rows(const Tensor& x) {
  if (x.is_cpu()) return grid_rows(x, 0).to(torch::kDouble);
  return unit_rows(x).mul_(0x1p24).round_().mul_(0x1p-24);
}

Tensor grid_rows(const Tensor& x, int64_t chunk_bytes) {
  const int64_t rows = x.size(0), size = x.size(1);
  Tensor out = torch::empty(x.sizes(), x.options().dtype(torch::kFloat));
  if (x.is_cpu()) {  // one loop: the same in torch is seven, over all memory
    if (x.scalar_type() == torch::kDouble) {
      round_rows(x.contiguous().const_data_ptr<double>(), rows, size, out.mutable_data_ptr<float>());
    } else {
      const Tensor same = x.to(torch::kFloat).contiguous();
      round_rows(same.const_data_ptr<float>(), rows, size, out.mutable_data_ptr<float>());
    }
    return out;
  }
  const int64_t chunk = std::max<int64_t>(1, chunk_bytes / 8 / size);
  for (int64_t i = 0; i < rows; i += chunk) {
    const int64_t count = std::min(chunk, rows - i);
    out.narrow(0, i, count).copy_(exact_unit_rows(x.narrow(0, i, count)));
  }
  return out;
}

double exact_dot(const float* a, const float* b, int64_t size) { return dot(a, b, size); }

Tensor exact_cosines_of_pairs(const Tensor& a, const Tensor& a_row, const Tensor& b, const Tensor& b_row,
                              int64_t chunk_bytes) {
  const int64_t pairs = a_row.size(0), size = a.size(1);
  Tensor out = torch::empty({pairs}, a.options().dtype(torch::kDouble));
  if (a.is_cpu()) {
    const float *of_a = a.const_data_ptr<float>(), *of_b = b.const_data_ptr<float>();
    const int64_t *row_a = a_row.const_data_ptr<int64_t>(), *row_b = b_row.const_data_ptr<int64_t>();
    double* similarity = out.mutable_data_ptr<double>();
    at::parallel_for(0, pairs, 256, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p)
        similarity[p] = dot(of_a + row_a[p] * size, of_b + row_b[p] * size, size);
    });
    return out;
  }
  const int64_t chunk = std::max<int64_t>(1, chunk_bytes / 16 / size);
  for (int64_t p = 0; p < pairs; p += chunk) {
    const int64_t count = std::min(chunk, pairs - p);
    const auto rows = [&](const Tensor& of, const Tensor& row) {
      return of.index_select(0, row.narrow(0, p, count).to(of.device())).to(torch::kDouble);
    };
    out.narrow(0, p, count).copy_(rows(a, a_row).mul_(rows(b, b_row)).sum(1));
  }
  return out;
}

Tensor exact_cosines(const Tensor& a, const Tensor& b, int64_t chunk_bytes) {
  const int64_t columns = b.size(0), tile = std::max<int64_t>(1, chunk_bytes / 8 / b.size(1));
  const Tensor wide = a.to(torch::kDouble);
  Tensor out = torch::empty({a.size(0), columns}, wide.options());
  for (int64_t t = 0; t < columns; t += tile) {
    const int64_t count = std::min(tile, columns - t);
    Tensor part = out.narrow(1, t, count);
    torch::mm_out(part, wide, b.narrow(0, t, count).to(torch::kDouble).t());
  }
  return out;
}

}  // namespace foil
