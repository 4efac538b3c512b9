// SPDX-License-Identifier: BSD-3-Clause
// The loops over a row of a tile, compiled for several kinds of processor. x [n] are similarities times
// log2(e), so that e^z = 2^x; -inf is a pair that is left out: it adds nothing and gets a derivative of
// exactly 0. In and out may be the same row. The sums of a column are added to `columns` [n].
#pragma once

#include <foil/contrast.h>

#include <cstdint>

namespace foil::contrast::sweep {

#define FOIL_SWEEP(T)                                                                                 \
  /* x + a + b; b may be null */                                                                      \
  void shift(T* x, int64_t n, T a, const T* b);                                                       \
  /* slope x of the pairs of equal label (alike), or of the others; without `label` of all */         \
  void select(const T* x, int64_t n, const int32_t* label, int32_t own, bool alike, T slope, T* out); \
  /* the largest, NaN aside */                                                                        \
  T largest(const T* x, int64_t n);                                                                   \
  /* columns = the larger of both; a NaN in it aside, or kept */                                      \
  void largest_by_column(const T* x, int64_t n, bool keep_nan, T* columns);                           \
  bool any_nan(const T* x, int64_t n);                                                                \
  /* sum 2^(x - base), into `out` and `columns` where they are given */                               \
  double powers(const T* x, int64_t n, T base);                                                       \
  double powers_into(const T* x, int64_t n, T base, T* out);                                          \
  double powers_by_column(const T* x, int64_t n, T base, T* columns);                                 \
  /* columns += 2^(x - bases) */                                                                      \
  void powers_of_columns(const T* x, int64_t n, const T* bases, T* columns);                          \
  /* out = or += weight 2^(x - base) */                                                               \
  void weigh_row(const T* x, int64_t n, T base, T weight, T* out, bool add);                          \
  /* out = or += (weight + weights) 2^(x - base) */                                                   \
  void weigh_both(const T* x, int64_t n, T base, T weight, const T* weights, T* out, bool add);       \
  /* out = or += weights 2^(x - bases) */                                                             \
  void weigh_columns(const T* x, int64_t n, const T* bases, const T* weights, T* out, bool add);      \
  /* sum phi(z); columns may be null */                                                               \
  double phi_sum(Phi phi, const T* x, int64_t n, T* columns);                                         \
  /* out = or += (weight + weights) phi'(z); weights may be null */                                   \
  void phi_slope(Phi phi, const T* x, int64_t n, T weight, const T* weights, T* out, bool add);       \
  /* sum phi(z), and out = phi'(z) */                                                                 \
  double phi_both(Phi phi, const T* x, int64_t n, T* out);                                            \
  double total(const T* x, int64_t n);                                                                \
  void add_to(const T* x, int64_t n, T* columns);                                                     \
  /* sums = sums + part, part = 0 */                                                                  \
  void flush(T* part, int64_t n, double* sums);
FOIL_SWEEP(float)
FOIL_SWEEP(double)
#undef FOIL_SWEEP

}  // namespace foil::contrast::sweep
