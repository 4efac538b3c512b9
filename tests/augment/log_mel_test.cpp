// SPDX-License-Identifier: BSD-3-Clause
#include "augment/log_mel.cpp"

#include "wave_test.h"

#include <complex>
#include <set>

using namespace foil::test;

namespace {

using Options = LogMel::Options;
constexpr auto kRaw = LogMel::Normalise::none;

int64_t transform_length(const Options& o) {
  int64_t n = 1;
  while (n < o.window) n *= 2;
  return n;
}

// The triangles by HTK's scale, as torchaudio's melscale_fbanks has them: [n / 2 + 1, mels].
Tensor slow_triangles(const Options& o) {
  const int64_t n = transform_length(o);
  const double top = 2595 * std::log10(1 + o.rate / 2 / 700);
  const auto point = [&](int64_t m) {
    return 700 * (std::pow(10, top * static_cast<double>(m) / static_cast<double>(o.mels + 1) / 2595) - 1);
  };
  Tensor weight = at::zeros({n / 2 + 1, o.mels}, at::kDouble);
  for (int64_t k = 0; k <= n / 2; ++k)
    for (int64_t m = 0; m < o.mels; ++m) {
      const double hertz = o.rate * static_cast<double>(k) / static_cast<double>(n);
      const double up = (hertz - point(m)) / (point(m + 1) - point(m)),
                   down = (point(m + 2) - hertz) / (point(m + 2) - point(m + 1));
      weight[k][m] = std::max(0.0, std::min(up, down));
    }
  return weight;
}

// All frames of one wave [T] by the formula at the head of the source, sum by sum: [mels, 1 + T / hop].
Tensor slow(const Tensor& wave, const Options& o) {
  const int64_t samples = wave.size(0), n = transform_length(o);
  const auto x = wave.accessor<double, 1>();
  Tensor power = at::zeros({1 + samples / o.hop, n / 2 + 1}, at::kDouble);
  for (int64_t f = 0; f < power.size(0); ++f)
    for (int64_t k = 0; k <= n / 2; ++k) {
      std::complex<double> sum = 0;
      for (int64_t i = 0; i < o.window; ++i) {
        const int64_t t = f * o.hop - o.window / 2 + i;
        if (t < 0 || t >= samples) continue;
        const double turn = 2 * M_PI * static_cast<double>(i) / static_cast<double>(o.window);
        sum += (0.5 - 0.5 * std::cos(turn)) * x[t] *
               std::polar(1.0, -2 * M_PI * static_cast<double>(i * k) / static_cast<double>(n));
      }
      power[f][k] = std::norm(sum);
    }
  return (power.matmul(slow_triangles(o)) + o.epsilon).log().t();
}

Tensor noise(int64_t batch, int64_t samples, uint64_t seed) {
  return random_waves({batch, samples}, seed).to(at::kDouble) / 32768;
}

Tensor evaluated(const Options& options, const foil::View& view) {
  return LogMel(options).evaluate(view).data;
}

// By the tensor operations that serve other devices.
Tensor by_tensors(const Options& options, const Tensor& waves, const std::vector<Stretch>& stretches) {
  return LogMel(options).by_tensors(waves, stretches);
}

}  // namespace

TEST(LogMel, EqualsItsFormula) {
  const Options options[] = {
      {.window = 64, .hop = 24, .mels = 9, .frames = 17, .normalise = kRaw},
      {.window = 64, .hop = 64, .mels = 14, .frames = 7, .epsilon = 0.5, .normalise = kRaw},
      {.rate = 16000, .window = 50, .hop = 20, .mels = 5, .frames = 21, .normalise = kRaw},
      {.rate = 100, .window = 5, .hop = 3, .mels = 1, .frames = 134, .normalise = kRaw}};
  const Tensor waves = noise(3, 400, 1);
  for (const Options& o : options) {
    SCOPED_TRACE(o.window);
    const Tensor got = evaluated(o, audio(waves));
    ASSERT_EQ(got.sizes(), (at::IntArrayRef{3, 1, o.mels, 1 + 400 / o.hop}));
    const int64_t frames = got.size(3);
    const std::vector<Stretch> whole(3, Stretch{400, 0, frames});
    const Tensor other = by_tensors(o, waves, whole);
    for (int64_t b = 0; b < 3; ++b) {
      expect_near(got[b][0], slow(waves[b], o), 1e-9);
      expect_near(other[b][0], slow(waves[b], o), 1e-9);
    }
    expect_near(evaluated(o, audio(waves.to(at::kFloat))), got, 1e-5);
  }
}

TEST(LogMel, FramesAsTorchDoesBetweenZeros) {
  const Options o{.window = 48, .hop = 12, .mels = 8, .frames = 18, .normalise = kRaw};
  const Tensor waves = noise(2, 210, 2), window = at::hann_window(48, at::kDouble);
  const Tensor spectrum = at::stft(waves, 64, 12, 48, window, /*center=*/true, "constant", false, true, true);
  const Tensor want = (spectrum.abs().square().transpose(1, 2).matmul(slow_triangles(o)) + o.epsilon).log();
  expect_near(evaluated(o, audio(waves)).squeeze(1), want.transpose(1, 2), 1e-9);
}

TEST(LogMel, HearsAThousandHertzAtAThousandMel) {
  EXPECT_NEAR(mel_of(1000), 1000, 0.1);
  EXPECT_NEAR(hertz_of(mel_of(440)), 440, 1e-9);
  const Tensor tone = (at::arange(4000, at::kDouble) * (2 * M_PI * 1000 / 8000)).sin().unsqueeze(0);
  const Tensor got = evaluated({.frames = 32}, audio(tone))[0][0];
  const auto row = std::lround(1000 / (mel_of(4000) / 41)) - 1;
  for (int64_t f = 1; f < 31; ++f) EXPECT_EQ(got.select(1, f).argmax().item<int64_t>(), row) << f;
}

TEST(LogMel, EndsWhereTheWaveDoes) {
  const Options o{.window = 64, .hop = 24, .mels = 9, .frames = 20, .normalise = kRaw};
  const Tensor waves = noise(2, 400, 3);
  const Tensor got = evaluated(o, audio(waves, {250, 0}));  // what is behind 250 is not looked at
  expect_near(got[0][0].narrow(1, 0, 11), slow(waves[0].narrow(0, 0, 250), o), 1e-9);
  expect_near(got[0][0].narrow(1, 11, 9), at::full({9, 9}, std::log(1e-6)), 1e-6);
  expect_near(got[1][0], at::full({9, 20}, std::log(1e-6)), 1e-6);
  EXPECT_TRUE(evaluated(o, audio(waves.narrow(1, 0, 250))).narrow(0, 0, 1).equal(got.narrow(0, 0, 1)));
}

TEST(LogMel, NormalisesEachUtteranceByItsOwnFrames) {
  const Options raw{.window = 64, .hop = 24, .mels = 9, .frames = 20, .normalise = kRaw};
  Options each = raw;
  each.normalise = LogMel::Normalise::utterance;
  const Tensor waves = noise(3, 400, 4);
  const foil::View view = audio(waves, {400, 250, 30});
  const Tensor before = evaluated(raw, view), got = evaluated(each, view),
               other = by_tensors(each, waves, {{400, 0, 17}, {250, 0, 11}, {30, 0, 2}});
  expect_near(other, got, 1e-9);
  const int64_t count[] = {17, 11, 2};
  for (int64_t b = 0; b < 3; ++b) {
    const Tensor own = before[b][0].narrow(1, 0, count[b]);
    expect_near(got[b][0].narrow(1, 0, count[b]), (own - own.mean()) / own.std(/*unbiased=*/false), 1e-9);
    EXPECT_EQ(got[b][0].narrow(1, count[b], 20 - count[b]).abs().max().item<double>(), 0) << b;
  }
}

TEST(LogMel, MakesNothingOfSilence) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const Tensor silence = at::zeros({2, 1000}, type);
    EXPECT_LE(evaluated({}, audio(silence)).abs().max().item<double>(), 1e-9);
    EXPECT_LE(by_tensors({}, silence, {{1000, 0, 8}, {1000, 0, 8}}).abs().max().item<double>(), 1e-9);
  }
}

TEST(LogMel, TakesAStretchOfALongerWave) {
  const Options o{.window = 64, .hop = 24, .mels = 9, .frames = 5, .normalise = kRaw};
  const Tensor wave = noise(1, 330, 5), all = slow(wave[0], o);  // 14 frames
  expect_near(evaluated(o, audio(wave))[0][0], all.narrow(1, 4, 5), 1e-9);
  LogMel log_mel(o);
  const foil::AugmentContext context = place(200);
  const Tensor got = log_mel.apply(audio(wave.expand({200, 330})), context).data;
  std::set<int64_t> starts;
  for (int64_t b = 0; b < 200; ++b) {
    const int64_t start = context.draws(b).below(10);
    starts.insert(start);
    expect_near(got[b][0], all.narrow(1, start, 5), 1e-9);
  }
  EXPECT_EQ(starts.size(), 10u);
  expect_near(by_tensors(o, wave, {{330, 7, 5}})[0][0], all.narrow(1, 7, 5), 1e-9);
}

TEST(LogMel, DependsOnTheSampleAndItsPlaceAlone) {
  LogMel log_mel({.frames = 9});
  const Tensor waves = random_waves({11, 3000}, 6);
  expect_only_the_sample_matters(log_mel, waves);
  expect_every_part_of_the_place_matters(log_mel, waves);
}

TEST(LogMel, TakesWavesOfAnyTypeAndHandsOnASpectrogram) {
  LogMel log_mel({.frames = 9});
  expect_any_type_of_wave(log_mel, random_waves({5, 1500}, 7));
  const foil::View out = log_mel.apply(audio(random_waves({2, 1500}, 8), {1500, 800}), place(2));
  EXPECT_EQ(out.kind, foil::Kind::audio);
  EXPECT_EQ(out.modality, "audio");
  EXPECT_FALSE(out.length.defined());
  const foil::Shape shape = log_mel.shape_after({foil::Kind::audio, {1500}, 8000});
  EXPECT_EQ(shape.kind, foil::Kind::audio);
  EXPECT_EQ(shape.sizes, (std::vector<int64_t>{1, 40, 9}));
  EXPECT_EQ(shape.range, 8000);
  EXPECT_EQ(log_mel.evaluation_name(), "log_mel40x9_rate8000_window256_hop128_epsilon1e-06_utterance");
}

TEST(LogMel, RefusesWhatDoesNotFit) {
  LogMel log_mel({});
  EXPECT_EQ(refusal([&] {
              log_mel.shape_after({foil::Kind::audio, {4000}, 16000});
            }),
            "rate = 8000, allowed: 16000, the samples per second of the data.");
  EXPECT_EQ(refusal([&] {
              log_mel.shape_after({foil::Kind::audio, {1, 40, 64}, 8000});
            }),
            "log_mel: a sample is [1, 40, 64], allowed: waves [T].");
  EXPECT_EQ(refusal([&] {
              log_mel.apply(audio(at::zeros({2, 1, 40, 64})), place(2));
            }),
            "an augmentation of waves got data [2, 1, 40, 64], allowed: waves [B, T]");
  EXPECT_EQ(refusal([] { LogMel({.window = 100}); }), "hop = 128, allowed: up to window = 100.");
  EXPECT_EQ(refusal([] { LogMel({.mels = 128}); }),
            "mels = 128, allowed: fewer, or a larger window: one of 256 samples tells frequencies 31.25 Hz "
            "apart, and a filter would hold none.");
  EXPECT_FALSE(Ranges::of<LogMel>()["epsilon"].contains(0));
}
