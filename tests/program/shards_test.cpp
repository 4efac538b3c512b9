// SPDX-License-Identifier: BSD-3-Clause
// Training on pictures and captions in tar shards: the number of ranks is nothing to it, and it goes on.
#include "tests/core/data/pictures.h"
#include "tests/core/data/tars.h"
#include "tests/program/world_size.h"

namespace foil {
namespace {

using test::bytes_of;

// Five shards of the training split, as many samples in each as fit no batch, and one of the test split.
class Shards : public ::testing::Test {
 protected:
  void SetUp() override {
    uint32_t sample = 0;
    for (const char* shard : {"train/0", "train/1", "train/2", "train/3", "train/4", "test/0"}) {
      std::vector<test::TarFile> files;
      for (int i = 0; i < 13; ++i, ++sample) {
        const std::string key = "s" + std::to_string(sample);
        const test::Bytes rgb = test::noise(3 * 12 * 12, sample % 7 + 1);
        files.push_back({key + ".png", test::png(12, 12, PNG_COLOR_TYPE_RGB, 8, rgb)});
        files.push_back({key + ".txt", bytes_of("a picture of noise " + std::to_string(sample % 7))});
        files.push_back({key + ".cls", bytes_of(std::to_string(sample % 7))});
      }
      folder_.write(std::string(shard) + ".tar", test::tar(files));
    }
  }

  std::string experiment() const {
    return "[run]\nname = \"small\"\nsteps = 20\nthreads = 1\n[data]\nname = \"webdataset\"\npath = \"" +
           folder_.path() +
           "\"\nlabel = \"cls\"\nbatch_size = 16\n[views]\nof = [\"image\", \"text\"]\n"
           "[[augment]]\nname = \"hashed_ngrams\"\nlength = 32\nbuckets = 512\n[encoder.image]\n"
           "name = \"small_cnn\"\nwidths = [8]\n[encoder.text]\nname = \"text_bag\"\nembedding = 8\n"
           "widths = [16]\n[head]\ndims = [16, 8]\n[[loss]]\nname = \"infonce\"\n[optimizer]\nname = "
           "\"sgd\"\n"
           "learning_rate = 0.05\n[schedule]\nname = \"constant\"\n[evaluate]\nlinear = false\n"
           "neighbours = 5\n";
  }

  const test::Folder folder_;
};

TEST_F(Shards, TrainAlikeOnAnyNumberOfRanks) { expect_world_size_is_nothing_to(experiment()); }

TEST_F(Shards, GoOnWithTheSameBits) {
  const auto whole = trained(experiment(), "fp32", "1", {}),
             place = trained(experiment(), "fp32", "1", {"--set", "run.steps=7"});
  const Outcome outcome =
      foil_within(*place, {"train", "small.toml", "--quiet", "--set", "run.precision=fp32"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  expect_same_state(RunView(*place).state(), RunView(*whole).state(), 0);
}

TEST_F(Shards, ThatChangedAreNotGoneOnWith) {
  const auto place = trained(experiment(), "fp32", "1", {"--set", "run.steps=7"});
  folder_.write("test/0.tar",
                test::tar({{"a.png", test::png(12, 12, PNG_COLOR_TYPE_RGB, 8, test::noise(432))},
                           {"a.txt", bytes_of("other")},
                           {"a.cls", bytes_of("0")}}));
  const Outcome outcome =
      foil_within(*place, {"train", "small.toml", "--quiet", "--set", "run.precision=fp32"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("the data differs"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace foil
