// SPDX-License-Identifier: BSD-3-Clause
// 2^x and what the functions phi are made of, in operations that the compiler vectorises: no branch, no call.
// A NaN stays one; 2^-inf is exactly 0.
#pragma once

#include "api/clones.h"

#include <foil/contrast.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace foil::contrast {

constexpr double kLog2E = 1.4426950408889634074, kLn2 = 0.69314718055994530942;

// The shift to the exponent of the type, the number whose addition rounds to an integer, the bounds of
// the exponent.
template <class T>
struct Format;
template <>
struct Format<float> {
  using Bits = uint32_t;
  static constexpr int mantissa = 23;
  static constexpr float round = 12582912.0f, lowest = -127.0f, highest = 256.0f;
};
template <>
struct Format<double> {
  using Bits = uint64_t;
  static constexpr int mantissa = 52;
  static constexpr double round = 6755399441055744.0, lowest = -1023.0, highest = 2048.0;
};

// 2^f, |f| <= 1/2: interpolated at Chebyshev's nodes, off by 2.5e-9 of it in fp32 and 4e-18 in fp64.
FOIL_INLINE float power2_fraction(float f) {
  float p = 0.00015461444698569129083f;
  p = p * f + 0.001340042817761583794f;
  p = p * f + 0.0096180566785246380754f;
  p = p * f + 0.055503272266703020589f;
  p = p * f + 0.24022650922288758071f;
  p = p * f + 0.69314720670283259577f;
  return p * f + 1.0f;
}
FOIL_INLINE double power2_fraction(double f) {
  double p = 4.455817908336064493e-10;
  p = p * f + 7.0741942972885210056e-9;
  p = p * f + 1.0178057087733941105e-7;
  p = p * f + 1.3215432535912376166e-6;
  p = p * f + 0.000015252733841556772589;
  p = p * f + 0.00015403530463724354209;
  p = p * f + 0.0013333558146406470697;
  p = p * f + 0.0096181291075872566681;
  p = p * f + 0.055504108664821627039;
  p = p * f + 0.24022650695910159567;
  p = p * f + 0.69314718055994530925;
  return p * f + 1.0;
}

// a where `first`, else b. In bits: of a conditional GCC makes a branch where it can compute more on one side
// than on the other, and then leaves the loop scalar.
template <class T>
FOIL_INLINE T either(bool first, T a, T b) {
  using Bits = typename Format<T>::Bits;
  const Bits mask = -static_cast<Bits>(first);
  return std::bit_cast<T>((std::bit_cast<Bits>(a) & mask) | (std::bit_cast<Bits>(b) & ~mask));
}
// The larger of both, and x where that is a NaN.
template <class T>
FOIL_INLINE T at_least(T x, T lowest) {
  return either(x < lowest, lowest, x);
}

// 2^x for x below 128, or 1024 in fp64. Below the normal numbers the exponent's bits, and with them the
// result, are 0.
template <class T>
FOIL_INLINE T power2(T x) {
  using F = Format<T>;
  using Bits = typename F::Bits;
  const T bounded = at_least(x, F::lowest);
  const T shifted = bounded + F::round;
  const T fraction = bounded - (shifted - F::round);
  const Bits exponent = (std::bit_cast<Bits>(shifted) << F::mantissa) + std::bit_cast<Bits>(T(1));
  return power2_fraction(fraction) * std::bit_cast<T>(exponent);
}

// 2^x for any x: infinite where it is too large.
template <class T>
FOIL_INLINE T power2_of_any(T x) {
  const T root = power2(-at_least(-x, -Format<T>::highest) * T(0.5));
  return root * root;
}

// log(1 + t), 0 <= t <= 1: 2 artanh(t / (2 + t)), to rounding for small t too.
template <class T>
FOIL_INLINE T log_1p(T t) {
  const T u = t / (T(2) + t), square = u * u;
  constexpr int terms = sizeof(T) == 4 ? 8 : 17;
  T series = T(1) / T(2 * terms - 1);
#pragma GCC unroll 17
  for (int k = terms - 2; k >= 0; --k) series = series * square + T(1) / T(2 * k + 1);
  return T(2) * u * series;
}

// phi(z) and its derivative by z, where x = z log2(e); both 0 at x = -inf, which is how a pair is left out.
template <Phi phi, class T>
FOIL_INLINE T phi_of(T x) {
  const T z = x * T(kLn2), hinge = at_least(z, T(0));
  if constexpr (phi == Phi::identity) {
    return either(x == -std::numeric_limits<T>::infinity(), T(0), z);
  } else if constexpr (phi == Phi::exp) {
    return power2_of_any(x);
  } else if constexpr (phi == Phi::softplus) {
    return hinge + log_1p(power2(-std::abs(x)));
  } else if constexpr (phi == Phi::sigmoid) {
    const T t = power2(-std::abs(x)), s = T(1) / (T(1) + t);
    return either(x > 0, s, t * s);
  } else {
    return phi == Phi::hinge ? hinge : hinge * hinge;
  }
}
template <Phi phi, class T>
FOIL_INLINE T slope_of(T x) {
  if constexpr (phi == Phi::identity) {
    return either(x == -std::numeric_limits<T>::infinity(), T(0), T(1));
  } else if constexpr (phi == Phi::exp) {
    return power2_of_any(x);
  } else if constexpr (phi == Phi::softplus) {
    return phi_of<Phi::sigmoid>(x);
  } else if constexpr (phi == Phi::sigmoid) {
    const T t = power2(-std::abs(x)), s = T(1) / (T(1) + t);
    return t * s * s;
  } else {
    return phi == Phi::squared_hinge ? T(2 * kLn2) * at_least(x, T(0)) : either(x > 0, T(1), T(0));
  }
}

// out = or += value(j).
template <class T, class Value>
FOIL_INLINE void write(T* out, int64_t n, bool add, const Value& value) {
  if (add) {
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) out[j] += value(j);
  } else {
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) out[j] = value(j);
  }
}

}  // namespace foil::contrast
