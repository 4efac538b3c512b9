// SPDX-License-Identifier: BSD-3-Clause
#include "augment/spectrogram_mask.cpp"

#include "wave_test.h"

using namespace foil::test;

namespace {

Tensor spectrograms(at::IntArrayRef shape, uint64_t seed) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed), at::kDouble);
}

}  // namespace

TEST(SpectrogramMask, HidesBandsAndStretchesAsDrawn) {
  SpectrogramMask mask({.frequency = 5, .time = 7, .count = 2});
  const Tensor before = spectrograms({60, 2, 12, 20}, 1), kept = before.clone();
  const foil::AugmentContext context = place(60);
  const Tensor got = mask.apply(audio(before), context).data;
  EXPECT_TRUE(before.equal(kept));
  Tensor want = before.clone();
  for (int64_t b = 0; b < 60; ++b) {
    foil::Draws draws = context.draws(b);
    for (int i = 0; i < 2; ++i) {
      const int64_t rows = draws.below(6), top = draws.below(12 - rows + 1);
      const int64_t frames = draws.below(8), left = draws.below(20 - frames + 1);
      for (int64_t c = 0; c < 2; ++c)
        for (int64_t y = 0; y < 12; ++y)
          for (int64_t x = 0; x < 20; ++x)
            if ((y >= top && y < top + rows) || (x >= left && x < left + frames)) want[b][c][y][x] = 0;
    }
  }
  EXPECT_TRUE(got.equal(want));
}

TEST(SpectrogramMask, DrawsEveryWidthAndEveryPlaceThatFits) {
  SpectrogramMask mask({.frequency = 3, .time = 0, .count = 1});
  const Tensor got = mask.apply(audio(at::ones({8000, 1, 4, 2})), place(8000)).data;
  const Tensor hidden = (got.select(1, 0).select(2, 0) == 0).to(at::kLong);  // [8000, rows]
  const Tensor code = (hidden * at::tensor({1, 2, 4, 8}, at::kLong)).sum(1);
  const Tensor count = at::bincount(code, {}, 16);
  const double nothing = 1.0 / 4, one = 1.0 / 4 / 4, two = 1.0 / 4 / 3, three = 1.0 / 4 / 2;
  const std::map<int64_t, double> share = {{0, nothing}, {1, one}, {2, one},  {4, one},   {8, one},
                                           {3, two},     {6, two}, {12, two}, {7, three}, {14, three}};
  for (int64_t rows = 0; rows < 16; ++rows) {
    const auto known = share.find(rows);
    if (known == share.end())
      EXPECT_EQ(count[rows].item<int64_t>(), 0) << rows;
    else
      expect_frequency(count[rows].item<int64_t>(), 8000, known->second);
  }
}

TEST(SpectrogramMask, LeavesEvaluationAlone) {
  SpectrogramMask mask({});
  const foil::View view = audio(spectrograms({3, 1, 40, 64}, 2));
  EXPECT_TRUE(mask.evaluate(view).data.is_same(view.data));
  EXPECT_EQ(mask.evaluation_name(), "");
}

TEST(SpectrogramMask, DependsOnTheSampleAndItsPlaceAlone) {
  SpectrogramMask mask({});
  const Tensor x = spectrograms({11, 1, 40, 64}, 3);
  expect_only_the_sample_matters(mask, x);
  expect_every_part_of_the_place_matters(mask, x);
  EXPECT_EQ(applied(mask, x, place(11)).scalar_type(), at::kDouble);
  EXPECT_EQ(applied(mask, x.to(at::kFloat), place(11)).scalar_type(), at::kFloat);
  EXPECT_EQ(applied(mask, x.narrow(0, 0, 0), place(0)).size(0), 0);
}

TEST(SpectrogramMask, RefusesWhatDoesNotFit) {
  SpectrogramMask mask({.frequency = 8, .time = 12});
  EXPECT_EQ(refusal([&] {
              mask.shape_after({foil::Kind::audio, {4000}, 8000});
            }),
            "spectrogram_mask: a sample is [4000], allowed: spectrograms [C, H, W], as log_mel makes them.");
  EXPECT_EQ(refusal([&] {
              mask.shape_after({foil::Kind::audio, {1, 7, 64}, 8000});
            }),
            "frequency = 8, allowed: up to 7, the rows there are.");
  EXPECT_EQ(refusal([&] {
              mask.apply(audio(at::zeros({2, 1, 40, 11})), place(2));
            }),
            "time = 12, allowed: up to 11, the frames there are.");
  EXPECT_EQ(
      refusal([&] {
        mask.apply(audio(at::zeros({2, 30}, at::kShort)), place(2));
      }),
      "spectrogram_mask got short int [2, 30], allowed: spectrograms [B, C, H, W] of floats, as log_mel "
      "makes them.");
}
