// SPDX-License-Identifier: BSD-3-Clause
// The loops of sweep.h over phi(z) and its derivative.
#include "contrast/power2.h"
#include "contrast/sweep.h"

#pragma GCC optimize("O3")  // GCC's -O2 leaves loops of unknown length scalar

#define FOIL_ALWAYS __attribute__((always_inline))

namespace foil::contrast::sweep {
namespace {

// with(phi as a constant).
template <class With>
FOIL_INLINE auto choose(Phi phi, const With& with) {
  switch (phi) {
    case Phi::exp:
      return with(std::integral_constant<Phi, Phi::exp>());
    case Phi::softplus:
      return with(std::integral_constant<Phi, Phi::softplus>());
    case Phi::sigmoid:
      return with(std::integral_constant<Phi, Phi::sigmoid>());
    case Phi::hinge:
      return with(std::integral_constant<Phi, Phi::hinge>());
    case Phi::squared_hinge:
      return with(std::integral_constant<Phi, Phi::squared_hinge>());
    case Phi::identity:
      break;
  }
  return with(std::integral_constant<Phi, Phi::identity>());
}

template <Phi phi, class T>
FOIL_INLINE double sum_row(const T* x, int64_t n, T* columns) {
  T sum = 0;
  if (columns) {
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < n; ++j) {
      const T value = phi_of<phi>(x[j]);
      columns[j] += value;
      sum += value;
    }
  } else {
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < n; ++j) sum += phi_of<phi>(x[j]);
  }
  return static_cast<double>(sum);
}

template <Phi phi, class T>
FOIL_INLINE void slope_row(const T* x, int64_t n, T weight, const T* weights, T* out, bool add) {
  if (weights) {
    write(out, n, add, [&](int64_t j) FOIL_ALWAYS { return slope_of<phi>(x[j]) * (weight + weights[j]); });
  } else {
    write(out, n, add, [&](int64_t j) FOIL_ALWAYS { return slope_of<phi>(x[j]) * weight; });
  }
}

template <Phi phi, class T>
FOIL_INLINE double both_row(const T* x, int64_t n, T* out) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t j = 0; j < n; ++j) {
    sum += phi_of<phi>(x[j]);
    out[j] = slope_of<phi>(x[j]);
  }
  return static_cast<double>(sum);
}

}  // namespace

#define FOIL_SWEEP(T)                                                                                        \
  FOIL_CLONES double phi_sum(Phi phi, const T* x, int64_t n, T* columns) {                                   \
    return choose(phi, [&](auto f) FOIL_ALWAYS { return sum_row<f.value>(x, n, columns); });                 \
  }                                                                                                          \
  FOIL_CLONES void phi_slope(Phi phi, const T* x, int64_t n, T weight, const T* weights, T* out, bool add) { \
    choose(phi, [&](auto f) FOIL_ALWAYS { slope_row<f.value>(x, n, weight, weights, out, add); });           \
  }                                                                                                          \
  FOIL_CLONES double phi_both(Phi phi, const T* x, int64_t n, T* out) {                                      \
    return choose(phi, [&](auto f) FOIL_ALWAYS { return both_row<f.value>(x, n, out); });                    \
  }
FOIL_SWEEP(float)
FOIL_SWEEP(double)
#undef FOIL_SWEEP

}  // namespace foil::contrast::sweep
