// SPDX-License-Identifier: BSD-3-Clause
#include "augment/wave_jitter.cpp"

#include "wave_test.h"

using namespace foil::test;

namespace {

// x [T] moved by `shift` and times `factor`, sample by sample.
Tensor slow(const Tensor& x, int64_t shift, double factor) {
  Tensor out = at::zeros_like(x);
  for (int64_t t = 0; t < x.size(0); ++t)
    if (t - shift >= 0 && t - shift < x.size(0))
      out[t] = std::clamp(x[t - shift].item<double>() * factor, -1.0, 1.0);
  return out;
}

}  // namespace

TEST(WaveJitter, MovesAndScalesBySamplesAndDecibels) {
  WaveJitter jitter({.shift = 30, .gain = {-20, 20}});
  const Tensor waves = random_waves({50, 100}, 1).to(at::kDouble) / 32768;
  std::vector<int64_t> length;
  for (int64_t b = 0; b < 50; ++b) length.push_back(2 * b);
  foil::View view = audio(waves, length);
  view.data.masked_fill_(at::arange(100) >= view.length.unsqueeze(1), 0);
  const foil::AugmentContext context = place(50);
  const foil::View got = jitter.apply(view, context);
  for (int64_t b = 0; b < 50; ++b) {
    SCOPED_TRACE(b);
    foil::Draws draws = context.draws(b);
    const int64_t shift = draws.below(61) - 30;
    const double factor = std::pow(10, draws.uniform(-20, 20) / 20);
    expect_near(got.data[b], slow(view.data[b], shift, factor), 1e-12);
    const int64_t valid = got.length[b].item<int64_t>();
    EXPECT_EQ(valid, std::clamp<int64_t>(2 * b + shift, 0, 100));
    EXPECT_EQ(got.data[b].narrow(0, valid, 100 - valid).count_nonzero().item<int64_t>(), 0);
  }
  EXPECT_EQ(view.length[9].item<int64_t>(), 18);
  EXPECT_FALSE(jitter.apply(audio(waves), context).length.defined());
}

TEST(WaveJitter, DrawsUniformly) {
  WaveJitter jitter({.shift = 4, .gain = {-6, 3}});
  const Tensor impulse = at::one_hot(at::full({4000}, 5, at::kLong), 11).to(at::kDouble) / 2;
  const Tensor got = jitter.apply(audio(impulse), place(4000)).data;
  std::vector<double> decibels;
  std::vector<int64_t> count(11);
  for (int64_t b = 0; b < 4000; ++b) {
    ++count[static_cast<size_t>(got[b].argmax().item<int64_t>())];
    decibels.push_back(20 * std::log10(2 * got[b].max().item<double>()));
  }
  EXPECT_EQ(count[0] + count[10], 0);
  for (size_t place = 1; place < 10; ++place) expect_frequency(count[place], 4000, 1.0 / 9);
  expect_uniform(decibels, -6 - 1e-9, 3 + 1e-9);
}

TEST(WaveJitter, ShiftsNoFurtherThanTheWave) {
  WaveJitter jitter({.shift = 1000});
  const foil::View got =
      jitter.apply(audio(random_waves({40, 3}, 2), std::vector<int64_t>(40, 2)), place(40));
  EXPECT_EQ(got.data.sizes(), (at::IntArrayRef{40, 3}));
  EXPECT_GE(got.length.min().item<int64_t>(), 0);
  EXPECT_LE(got.length.max().item<int64_t>(), 3);
}

TEST(WaveJitter, DependsOnTheSampleAndItsPlaceAlone) {
  WaveJitter jitter({});
  const Tensor waves = random_waves({11, 600}, 3);
  expect_only_the_sample_matters(jitter, waves);
  expect_every_part_of_the_place_matters(jitter, waves);
  expect_any_type_of_wave(jitter, waves);
}

TEST(WaveJitter, RefusesWhatDoesNotFit) {
  WaveJitter jitter({});
  EXPECT_EQ(refusal([&] {
              jitter.shape_after({foil::Kind::audio, {1, 40, 64}, 8000});
            }),
            "wave_jitter: a sample is [1, 40, 64], allowed: waves [T].");
  EXPECT_EQ(refusal([&] {
              jitter.apply(audio(at::zeros({2, 5}, at::kInt)), place(2));
            }),
            "an augmentation of waves got int, allowed: int16, float, double");
  EXPECT_EQ(refusal([] {
              WaveJitter({.gain = {3, -3}});
            }),
            "gain = [3, -3], allowed: [low, high] with low <= high.");
}
