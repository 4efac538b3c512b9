// SPDX-License-Identifier: BSD-3-Clause
// What an experiment file may not say: refused by check(), before anything is opened, or by build(), before
// anything is created; each with the place in the file.
#include "tests/core/experiment/small_parts.h"
#include "tests/support/error_of.h"

#include <gtest/gtest.h>
#include <torch/types.h>

namespace foil {
namespace {

using test::checked;
using test::refusal;

// 8 lines: [run] is line 1, [data] 3, [encoder] 5, [[loss]] 7.
const std::string kGood =
    "[run]\nsteps = 1\n[data]\nname = \"synthetic\"\n[encoder]\nname = \"line\"\n[[loss]]\n"
    "name = \"spread\"\n";
const std::vector<std::string> kSmall = {"data.samples=32", "data.test_samples=32", "data.features=4",
                                         "data.batch_size=8"};

// What check() says of the good file with more lines.
std::string refused(const std::string& lines) {
  return refusal([&] { checked(kGood + lines); });
}

// What build() says of the good file with more lines and values.
std::string not_built(const std::string& lines, std::vector<std::string> sets = {}, Exit code = Exit::usage) {
  sets.insert(sets.begin(), kSmall.begin(), kSmall.end());
  Plan plan = checked(kGood + lines, sets);
  return refusal([&] { build(std::move(plan), at::kCPU); }, code);
}

TEST(Check, AcceptsWhatBuildCanMake) { EXPECT_EQ(not_built(""), "no error"); }

TEST(Check, RefusesOptionsThatContradictEachOtherAtTheirPlaceWhateverHasThem) {
  EXPECT_EQ(refused("hardest = 9\n"), "e.toml:9:11: loss.hardest = 9, allowed: at most length = 4.");
  EXPECT_EQ(refused("[[loss]]\nname = \"spread\"\nhardest = 9\n"),
            "e.toml:11:11: loss.hardest = 9, allowed: at most length = 4.");
  EXPECT_EQ(refused("[encoder.widths]\n"),
            "e.toml:9:1: encoder.widths = {} (a table), allowed: a list of integers >= 1.");
  EXPECT_EQ(refusal([] { checked(kGood, {"encoder.widths=[]"}); }),
            "--set encoder.widths=[]: encoder.widths = [], allowed: a list of one width.");
  EXPECT_EQ(refused("[[augment]]\nname = \"shift\"\nrange = [1, 0]\n"),
            "e.toml:11:9: augment.range = [1, 0], allowed: [low, high] with low <= high.");
  EXPECT_EQ(refused("[optimizer]\nname = \"adam\"\nbetas = [0.9]\n"),
            "e.toml:11:9: optimizer.betas = [0.9], allowed: a list of 2 numbers.");
  EXPECT_EQ(refused("[head]\ndims = []\n"),
            "e.toml:10:8: head.dims = [], allowed: a list of one or more widths.");
  EXPECT_EQ(
      refused("[evaluate]\non = []\n"),
      "e.toml:10:6: evaluate.on = [], allowed: a list of one or both of \"features\", \"projections\".");
  EXPECT_EQ(refused("[evaluate]\non = [\"projection\"]\n"),
            "e.toml:10:6: unknown entry 'projection' in evaluate.on. Known entries: features, projections. "
            "Did you mean 'projections'?");
  EXPECT_EQ(
      refused("[evaluate]\nzero_shot = [\"a photo\"]\n"),
      "e.toml:10:13: evaluate.zero_shot = 'a photo', allowed: prompts with {} in the place of the class.");
}

TEST(Check, RefusesTablesThatNoLossHasAUseFor) {
  EXPECT_EQ(refused("[momentum]\nvalue = 0.9\n"),
            "e.toml:9:2: [momentum] is given, allowed: "
            "where a loss needs targets (`foil describe LOSS` says what it needs).");
  EXPECT_EQ(refused("[predictor]\n"),
            "e.toml:9:2: [predictor] is given, allowed: "
            "where a loss needs predictions (`foil describe LOSS` says what it needs).");
  const Plan plan = checked(kGood);
  EXPECT_EQ(plan.resolved.find("momentum"), nullptr);  // what is printed can be read again
}

TEST(Check, RefusesNumbersThatCannotBeMeant) {
  const struct {
    std::string lines, message;
  } cases[] = {
      {"[schedule]\nwarmup_epochs = inf\n",
       "e.toml:10:17: schedule.warmup_epochs = inf, allowed: a finite number from 0 to 1000000000."},
      {"[schedule]\nwarmup_steps = 9223372036854775807\n",
       "e.toml:10:16: schedule.warmup_steps = 9223372036854775807, allowed: "
       "an integer from 0 to 1000000000."},
      {"[optimizer]\nlearning_rate = inf\n",
       "e.toml:10:17: optimizer.learning_rate = inf, allowed: a finite number > 0."},
      {"weight = -inf\n", "e.toml:9:10: loss.weight = -inf, allowed: a finite number."},
      {"[views]\ncount = 100000000\n",
       "e.toml:10:9: views.count = 100000000, allowed: an integer from 1 to 1000."},
      {"[evaluate]\nevery_epochs = 4611686018427387904\n",
       "e.toml:10:16: evaluate.every_epochs = 4611686018427387904, allowed: "
       "an integer from 0 to 1000000000."},
      {"length = 4294967297\n",
       "e.toml:9:10: loss.length = 4294967297, allowed: an integer from 1 to 1000000000."},
  };
  for (const auto& test : cases) EXPECT_EQ(refused(test.lines), test.message);
  const struct {
    std::string set, allowed;
  } of_run[] = {
      {"run.epochs=9223372036854775807", "an integer from 0 to 1000000000."},
      {"run.epochs=1000000000000000000", "an integer from 0 to 1000000000."},
      {"run.steps=10000000000", "an integer from -1 to 1000000000."},
      {"run.threads=100000", "an integer from 0 to 1024."},
      {"run.threads=4294967297", "an integer from 0 to 1024."},
      {"run.timeout=0.5", "a number from 1 to 1000000."},
      {"run.timeout=inf", "a finite number from 1 to 1000000."},
      {"run.timeout=1e300", "a number from 1 to 1000000."},
  };
  for (const auto& test : of_run) {
    const std::string got = refusal([&] { checked(kGood, {test.set}); });
    EXPECT_EQ(got.substr(got.find("allowed: ")), "allowed: " + test.allowed) << test.set;
    EXPECT_TRUE(got.starts_with("--set " + test.set + ": run.")) << got;
  }
}

TEST(Check, RefusesARunNameThatIsNoFolderOfItsOwn) {
  const std::string allowed =
      ", allowed: the name of a folder: "
      "at most 100 bytes, the first a letter, digit or '_', without '/' and control characters.";
  for (const char* name : {"", ".", "..", "../../x", "a/b", "/x", "-x", "~", ".x", " x", "a\\nb",
                           "a\\u001b[31m", "a\\u0000b", "a\\u009bb", "a\\u202eb"}) {
    const std::string got =
        refusal([&] { checked("[run]\nname = \"" + std::string(name) + "\"\n" + kGood.substr(6)); });
    EXPECT_TRUE(got.starts_with("e.toml:2:8: run.name = \"") && got.ends_with(allowed)) << got;
  }
  const std::string got = refusal([] { checked(kGood, {"run.name=" + std::string(101, 'x')}); });
  EXPECT_TRUE(got.ends_with(allowed)) << got;
  for (const char* name : {"x", "_x", "0.1 and more", "gr\xc3\xb6\xc3\x9f\x65", "a=b+c-d", "x..y"}) {
    EXPECT_EQ(checked(kGood, {"run.name=\"" + std::string(name) + "\""}).run.name, name);
  }
}

TEST(Build, RefusesAProductThatCannotBeMeantAtItsPlace) {
  EXPECT_EQ(not_built("", {"run.epochs=1000000000"}),
            "--set run.epochs=1000000000: run.epochs = 1000000000, allowed: "
            "0 to 250000000, as an epoch has 4 steps.");
  const std::string queue = not_built("queue = true\nlength = 1000000000\n", {"head.dims=[1000000]"});
  EXPECT_TRUE(
      queue.starts_with("e.toml:8:8: the loss 'spread' asks for a queue of 1000000000 rows (length = "
                        "1000000000) of 1000000 numbers: "))
      << queue;
}

TEST(Build, NamesTheOptionOfWhatNoMemoryHolds) {
  const std::string head = not_built("[head]\ndims = [1000000, 1000000]\n");
  EXPECT_TRUE(head.starts_with("e.toml:10:8: head.dims: ")) << head;
  const std::string encoder = not_built(
      "", {"encoder.widths=[1000000000]", "data.features=1000000", "data.samples=8", "data.test_samples=0"});
  EXPECT_TRUE(encoder.starts_with("e.toml:6:8: the encoder 'line': ")) << encoder;
  const std::string data = not_built("", {"data.features=1000000000", "data.samples=1000000000"}, Exit::data);
  EXPECT_TRUE(data.starts_with("data set 'synthetic': ")) << data;
  for (const std::string& text : {head, encoder, data}) EXPECT_EQ(text.find('\n'), std::string::npos) << text;
}

TEST(Build, RefusesWhatTheEvaluationCannotMeasureBeforeTheTraining) {
  EXPECT_EQ(not_built("[evaluate]\nneighbours = 33\n"),
            "e.toml:10:14: evaluate.neighbours = 33, allowed: "
            "1 to 32, the samples with a label in the train split.");
  EXPECT_EQ(
      not_built("", {"data.samples=8"}),
      "e.toml:1:1: evaluate.neighbours = 20, allowed: 1 to 8, the samples with a label in the train split.");
  EXPECT_EQ(not_built("[evaluate]\nneighbours = 3\n", {"data.classes=1"}),
            "e.toml:9:1: evaluate.linear = true, allowed: false, as the data set has one class.");
  EXPECT_EQ(not_built("[evaluate]\nneighbours = 3\nlinear = false\n", {"data.classes=1"}), "no error");
  EXPECT_EQ(not_built("[evaluate]\nevery_epochs = 1\n", {"data.test_samples=0"}),
            "e.toml:10:16: evaluate.every_epochs = 1, allowed: 0, as the data set has no test split.");
  EXPECT_EQ(not_built("[evaluate]\nzero_shot = [\"a {}\"]\n"),
            "e.toml:10:13: evaluate.zero_shot = ['a {}'], allowed: [], as no view is of a text.");
}

TEST(Build, RefusesAtItsPlaceWhatDoesNotFitTheData) {
  EXPECT_EQ(not_built("[[augment]]\nname = \"shift\"\n"),
            "e.toml:10:8: the augmentation 'shift' is for image; the views are of 'vector' (vector).");
  EXPECT_EQ(not_built("", {"data.features=0"}),
            "e.toml:6:8: line: the view is [1, 3, 32, 32], allowed: [B, F].");
  EXPECT_EQ(not_built("", {"encoder.says=5"}),
            "e.toml:6:8: the encoder 'line' gives [1, 4] of one sample, allowed: [1, 5], as it says.");
  EXPECT_EQ(not_built("", {"encoder.largest=3"}),
            "--set encoder.largest=3: encoder.largest = 3, allowed: at least 4.");
  EXPECT_EQ(
      not_built("", {"data.batch_size=33"}),
      "--set data.batch_size=33: data.batch_size = 33, allowed: 1 to 32, the size of the training set.");
}

std::string odd(const std::string& data, const std::string& more, Exit code = Exit::usage) {
  const std::string toml = "[run]\nsteps = 1\n[data]\nname = \"odd\"\nbatch_size = 2\n" + data +
                           "[encoder]\nname = \"line\"\n[[loss]]\nname = \"spread\"\n" + more;
  return refusal([&] { build(checked(toml), at::kCPU); }, code);
}

TEST(Build, RefusesOddDataNamingTheDataSet) {
  EXPECT_EQ(odd("", "[[augment]]\nname = \"shift\"\n"),
            "e.toml:11:8: the augmentation 'shift' is given images of different sizes, allowed: "
            "behind one that brings them to one size (random_resized_crop).");
  EXPECT_EQ(odd("samples = 0\n", "", Exit::data), "e.toml:4:8: the data set 'odd' has no training sample.");
  EXPECT_EQ(odd("label = 7\n", "", Exit::data),
            "the data set 'odd' has 4 labels from 7 to 7 for 4 samples of 2 classes.");
}

TEST(Build, HoldsASamplerToItsPromiseByName) {
  EXPECT_EQ(
      not_built("[sampler]\nname = \"careless\"\nfault = \"no_steps\"\n"),
      "e.toml:10:8: the sampler 'careless' gives 0 steps per epoch of 32 samples, allowed: 1 to 1000000000.");
  const auto first_batch = [](const std::string& fault) {
    Experiment x = build(
        checked(kGood + "[sampler]\nname = \"careless\"\nfault = \"" + fault + "\"\n", kSmall), at::kCPU);
    return refusal([&] { x.sampler->batch(3); }, Exit::failure);
  };
  EXPECT_EQ(first_batch("none"), "no error");
  EXPECT_EQ(first_batch("short"),
            "the sampler 'careless' gives CPULongType [7] for step 3, allowed: int64 [8] on the CPU.");
  EXPECT_EQ(first_batch("type"),
            "the sampler 'careless' gives CPUIntType [8] for step 3, allowed: int64 [8] on the CPU.");
  EXPECT_EQ(first_batch("nothing"),
            "the sampler 'careless' gives no tensor for step 3, allowed: int64 [8] on the CPU.");
  EXPECT_EQ(first_batch("beyond"), "the sampler 'careless' gives row 32 for step 3, allowed: 0 to 31.");
}

}  // namespace
}  // namespace foil
