// SPDX-License-Identifier: BSD-3-Clause
// The loops of sweep.h but for those of phi: a body for any type, and one function for each type, made once
// for each kind of processor.
#include "contrast/sweep.h"

#include "contrast/power2.h"

#pragma GCC optimize("O3")  // GCC's -O2 leaves loops of unknown length scalar

#define FOIL_ALWAYS __attribute__((always_inline))

namespace foil::contrast::sweep {
namespace {

template <class T>
constexpr T kLeftOut = -std::numeric_limits<T>::infinity();

template <class T>
FOIL_INLINE void shift_row(T* x, int64_t n, T a, const T* b) {
  if (b) {
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) x[j] += a + b[j];
  } else {
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) x[j] += a;
  }
}

template <class T>
FOIL_INLINE void select_row(const T* x, int64_t n, const int32_t* label, int32_t own, bool alike, T slope,
                            T* out) {
  if (label) {
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) {
      const bool in = ((label[j] == own) == alike) & (x[j] != kLeftOut<T>);
      out[j] = either(in, slope * x[j], kLeftOut<T>);
    }
  } else {
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) out[j] = either(x[j] != kLeftOut<T>, slope * x[j], kLeftOut<T>);
  }
}

template <class T>
FOIL_INLINE T largest_of(const T* x, int64_t n) {
  T top = kLeftOut<T>;
#pragma omp simd reduction(max : top)
  for (int64_t j = 0; j < n; ++j) top = x[j] > top ? x[j] : top;
  return top;
}

template <class T>
FOIL_INLINE void column_largest(const T* x, int64_t n, bool keep_nan, T* columns) {
  if (keep_nan) {
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) columns[j] = (x[j] > columns[j]) | (x[j] != x[j]) ? x[j] : columns[j];
  } else {
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) columns[j] = x[j] > columns[j] ? x[j] : columns[j];
  }
}

template <class T>
FOIL_INLINE bool has_nan(const T* x, int64_t n) {
  int32_t count = 0;
#pragma omp simd reduction(+ : count)
  for (int64_t j = 0; j < n; ++j) count += x[j] != x[j] ? 1 : 0;
  return count > 0;
}

// What is done with each power; the sum of all is returned.
template <class T, class Each>
FOIL_INLINE double each_power(const T* x, int64_t n, T base, const Each& each) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t j = 0; j < n; ++j) {
    const T e = power2(x[j] - base);
    each(j, e);
    sum += e;
  }
  return static_cast<double>(sum);
}

template <class T>
FOIL_INLINE double sum_of(const T* x, int64_t n) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t j = 0; j < n; ++j) sum += x[j];
  return static_cast<double>(sum);
}

template <class T>
FOIL_INLINE void flush_row(T* part, int64_t n, double* sums) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) {
    sums[j] += static_cast<double>(part[j]);
    part[j] = 0;
  }
}

}  // namespace

// A clone cannot be a template: one function per type.
#define FOIL_SWEEP(T)                                                                                        \
  FOIL_CLONES void shift(T* x, int64_t n, T a, const T* b) { shift_row(x, n, a, b); }                        \
  FOIL_CLONES void select(const T* x, int64_t n, const int32_t* label, int32_t own, bool alike, T slope,     \
                          T* out) {                                                                          \
    select_row(x, n, label, own, alike, slope, out);                                                         \
  }                                                                                                          \
  FOIL_CLONES T largest(const T* x, int64_t n) { return largest_of(x, n); }                                  \
  FOIL_CLONES void largest_by_column(const T* x, int64_t n, bool keep_nan, T* columns) {                     \
    column_largest(x, n, keep_nan, columns);                                                                 \
  }                                                                                                          \
  FOIL_CLONES bool any_nan(const T* x, int64_t n) { return has_nan(x, n); }                                  \
  FOIL_CLONES double powers(const T* x, int64_t n, T base) {                                                 \
    return each_power(x, n, base, [](int64_t, T) FOIL_ALWAYS {});                                            \
  }                                                                                                          \
  FOIL_CLONES double powers_into(const T* x, int64_t n, T base, T* out) {                                    \
    return each_power(x, n, base, [&](int64_t j, T e) FOIL_ALWAYS { out[j] = e; });                          \
  }                                                                                                          \
  FOIL_CLONES double powers_by_column(const T* x, int64_t n, T base, T* columns) {                           \
    return each_power(x, n, base, [&](int64_t j, T e) FOIL_ALWAYS { columns[j] += e; });                     \
  }                                                                                                          \
  FOIL_CLONES void powers_of_columns(const T* x, int64_t n, const T* bases, T* columns) {                    \
    write(columns, n, true, [&](int64_t j) FOIL_ALWAYS { return power2(x[j] - bases[j]); });                 \
  }                                                                                                          \
  FOIL_CLONES void weigh_row(const T* x, int64_t n, T base, T weight, T* out, bool add) {                    \
    write(out, n, add, [&](int64_t j) FOIL_ALWAYS { return weight * power2(x[j] - base); });                 \
  }                                                                                                          \
  FOIL_CLONES void weigh_both(const T* x, int64_t n, T base, T weight, const T* weights, T* out, bool add) { \
    write(out, n, add, [&](int64_t j) FOIL_ALWAYS { return (weight + weights[j]) * power2(x[j] - base); });  \
  }                                                                                                          \
  FOIL_CLONES void weigh_columns(const T* x, int64_t n, const T* bases, const T* weights, T* out,            \
                                 bool add) {                                                                 \
    write(out, n, add, [&](int64_t j) FOIL_ALWAYS { return weights[j] * power2(x[j] - bases[j]); });         \
  }                                                                                                          \
  FOIL_CLONES double total(const T* x, int64_t n) { return sum_of(x, n); }                                   \
  FOIL_CLONES void add_to(const T* x, int64_t n, T* columns) {                                               \
    write(columns, n, true, [&](int64_t j) FOIL_ALWAYS { return x[j]; });                                    \
  }                                                                                                          \
  FOIL_CLONES void flush(T* part, int64_t n, double* sums) { flush_row(part, n, sums); }
FOIL_SWEEP(float)
FOIL_SWEEP(double)
#undef FOIL_SWEEP

}  // namespace foil::contrast::sweep
