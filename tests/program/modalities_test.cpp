// SPDX-License-Identifier: BSD-3-Clause
// Several modalities in one run: an encoder of images takes the spectrograms of waves, and a loss that knows
// nothing of modalities learns from images and texts.
#include "tests/support/watched_run.h"

namespace foil {
namespace {

const std::string kRun =
    "[run]\nname = \"small\"\nsteps = 3\nthreads = 1\n"
    "[data]\nname = \"synthetic\"\nmodalities = [\"image\", \"audio\"]\nsamples = 96\ntest_samples = 40\n"
    "classes = 3\nchannels = 3\nsize = 12\nbatch_size = 32\n[views]\nof = [\"image\", \"audio\"]\n"
    "[encoder]\nname = \"small_cnn\"\nwidths = [8]\n[encoder.audio]\nname = \"small_cnn\"\nwidths = [8, 16]\n"
    "[head]\ndims = [16, 8]\n[[loss]]\nname = \"infonce\"\n[optimizer]\nname = \"sgd\"\n"
    "learning_rate = 0.05\n[evaluate]\nlinear = false\nneighbours = 5\n"
    "[[augment]]\nname = \"random_resized_crop\"\nsize = [12, 12]\n";
const std::string kJitter = "[[augment]]\nname = \"wave_jitter\"\n";
const std::string kLogMel = "[[augment]]\nname = \"log_mel\"\nframes = 16\n";
const std::string kMask = "[[augment]]\nname = \"spectrogram_mask\"\ntime = 4\n";

Outcome trained(const Workplace& place, const std::string& augment, const std::string& set = "run.seed=0") {
  place.write("small.toml", kRun + augment);
  return foil_within(place, {"train", "small.toml", "--quiet", "--set", set});
}

TEST(Spectrograms, TrainASmallCnnBesideThatOfTheImages) {
  const Workplace place;
  const Outcome outcome = trained(place, kJitter + kLogMel + kMask);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const RunView run(place);
  const std::vector<double> losses = run.losses();
  ASSERT_EQ(losses.size(), 3u);
  for (const double loss : losses) EXPECT_TRUE(std::isfinite(loss));
  const auto state = run.state();
  EXPECT_EQ(state.at("tower.image.encoder.conv1.weight").sizes(), (at::IntArrayRef{8, 3, 3, 3}));
  EXPECT_EQ(state.at("tower.audio.encoder.conv1.weight").sizes(), (at::IntArrayRef{8, 1, 3, 3}));
  const std::string results = run.results().dump();
  EXPECT_NE(results.find("log_mel40x16_rate8000"), std::string::npos) << results;
}

TEST(Spectrograms, AreAskedForWhereTheyAreMissing) {
  const Workplace place;
  const Outcome waves = trained(place, kJitter);
  EXPECT_EQ(waves.code, 2);
  EXPECT_NE(waves.err.find("small_cnn: the data is audio of length 2000, allowed: images or spectrograms"),
            std::string::npos)
      << waves.err;
  const Outcome order = trained(place, kMask + kLogMel);
  EXPECT_EQ(order.code, 2);
  EXPECT_NE(order.err.find("spectrogram_mask: a sample is [2000], allowed: spectrograms [C, H, W]"),
            std::string::npos)
      << order.err;
  const Outcome rate = trained(place, kLogMel + "rate = 16000\n");
  EXPECT_EQ(rate.code, 2);
  EXPECT_NE(rate.err.find("rate = 16000, allowed: 8000, the samples per second of the data."),
            std::string::npos)
      << rate.err;
}

// CLIPPO: the texts are drawn, one encoder takes them and the images.
TEST(DrawnTexts, ShareTheEncoderOfTheImages) {
  const Workplace place;
  std::string text = kRun;
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"modalities = [\"image\", \"audio\"]", "modalities = [\"image\", \"text\"]"},
           {"of = [\"image\", \"audio\"]", "of = [\"image\", \"text\"]"},
           {"[encoder.audio]\nname = \"small_cnn\"\nwidths = [8, 16]\n", ""},
           {"size = [12, 12]\n", "size = [12, 12]\nmodality = \"image\"\n"}})
    text.replace(text.find(from), from.size(), to);
  place.write("small.toml", text + "[[augment]]\nname = \"render_text\"\nsize = [16, 48]\nchannels = 3\n" +
                                "[[augment]]\nname = \"gaussian_blur\"\nmodality = \"text\"\n");
  const Outcome outcome = foil_within(place, {"train", "small.toml", "--quiet"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const RunView run(place);
  for (const double loss : run.losses()) EXPECT_TRUE(std::isfinite(loss));
  EXPECT_TRUE(run.state().contains("tower.encoder.conv1.weight"));
  const std::string results = run.results().dump();
  EXPECT_NE(results.find("render_text16x48_16_Unifont"), std::string::npos) << results;
  EXPECT_NE(results.find("image>text"), std::string::npos) << results;
}

// Images and texts of the same samples, twenty steps.
std::string image_and_text(const std::string& loss) {
  return "[run]\nname = \"small\"\nsteps = 20\nthreads = 1\n[data]\nname = \"synthetic\"\n"
         "modalities = [\"image\", \"text\"]\nsamples = 96\ntest_samples = 40\nclasses = 3\nsize = 12\n"
         "batch_size = 32\n[views]\nof = [\"image\", \"text\"]\n[[augment]]\nname = \"hashed_ngrams\"\n"
         "length = 32\nbuckets = 512\n[encoder.image]\nname = \"small_cnn\"\nwidths = [8, "
         "16]\n[encoder.text]\n"
         "name = \"text_bag\"\nembedding = 8\nwidths = [16]\n[head]\ndims = [16, 8]\n[optimizer]\n"
         "name = \"adam\"\nlearning_rate = 0.01\n[evaluate]\nlinear = false\nneighbours = 5\non = "
         "[\"projections\"]\nzero_shot = [\"{}\"]\n[[loss]]\nname = " +
         loss;
}

// Learns from pairs of an image and its text, whatever it was made for.
TEST(ImageAndText, TeachLossesThatKnowNothingOfModalitiesAndThoseMadeForThem) {
  for (const char* loss :
       {"\"infonce\"\n", "\"dcl\"\n", "\"supcon\"\n", "\"hcl\"\n", "\"moco\"\nqueue_length = 64\n",
        "\"barlow\"\n", "\"clip\"\n", "\"siglip\"\n", "\"cwcl\"\n", "\"gram\"\n",
        "\"mw\"\ntemperature = 0.2\n", "\"sogclr\"\ncandidates = \"other_view\"\n"}) {
    SCOPED_TRACE(loss);
    const Workplace place;
    place.write("small.toml", image_and_text(loss));
    const Outcome outcome = foil_within(place, {"train", "small.toml", "--quiet"});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const RunView run(place);
    const std::vector<double> losses = run.losses();
    ASSERT_EQ(losses.size(), 20u);
    for (const double value : losses) EXPECT_TRUE(std::isfinite(value));
    // A queue that fills and denominators that follow make the value of these two rise at first.
    const bool falls = !std::string(loss).starts_with("\"moco") && !std::string(loss).starts_with("\"sogclr");
    const double first = losses[0] + losses[1] + losses[2], last = losses[17] + losses[18] + losses[19];
    EXPECT_TRUE(!falls || last < first) << first / 3 << " -> " << last / 3;
    const nlohmann::json metrics = run.results().at("metrics");
    for (const char* name : {"image>text.R@1", "text>image.MRR", "image>text.zero_shot"})
      EXPECT_TRUE(metrics.contains(name)) << name << " in " << metrics;
  }
}

}  // namespace
}  // namespace foil
