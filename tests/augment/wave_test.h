// SPDX-License-Identifier: BSD-3-Clause
// What the tests of augmentations of waves and spectrograms share beside augment_test.h. Not a test itself.
#pragma once

#include "augment_test.h"

namespace foil::test {

// Noise in [-0.5, 0.5), as a data set delivers it: int16 [B, T].
inline Tensor random_waves(at::IntArrayRef shape, uint64_t seed) {
  return at::randint(-16384, 16384, shape, at::make_generator<at::CPUGeneratorImpl>(seed), at::kShort);
}

// `length`: of each wave; empty where all of it counts.
inline View audio(const Tensor& data, const std::vector<int64_t>& length = {}) {
  View view;
  view.modality = "audio";
  view.kind = Kind::audio;
  view.data = data;
  if (!length.empty()) view.length = at::tensor(length, at::kLong);
  return view;
}

// int16, float and double give the same; the input is left alone.
inline void expect_any_type_of_wave(Augmentation& augmentation, const Tensor& waves) {
  const Tensor before = waves.clone(), real = waves.to(at::kDouble) / 32768, real_before = real.clone();
  const Tensor from_double = applied(augmentation, real, place(waves.size(0)));
  EXPECT_EQ(from_double.scalar_type(), at::kDouble);
  EXPECT_TRUE(real.equal(real_before));
  for (const Tensor& x : {waves, real.to(at::kFloat), real.to(at::kFloat).t().contiguous().t()}) {
    const Tensor got = applied(augmentation, x, place(waves.size(0)));
    EXPECT_EQ(got.scalar_type(), at::kFloat);
    expect_near(got, from_double, 1e-5);
  }
  EXPECT_TRUE(waves.equal(before));
  EXPECT_EQ(applied(augmentation, waves.narrow(0, 0, 0), place(0)).size(0), 0);
}

}  // namespace foil::test
