// SPDX-License-Identifier: BSD-3-Clause
// What an experiment file may not say: refused by check(), before anything is opened, or by build(), before
// anything is created; each with the place in the file.
#include "config/load.h"
#include "config/parse.h"
#include "data/builtin.h"
#include "data/memory.h"
#include "experiment/experiment.h"
#include "plugins/registry.h"
#include "tests/support/error_of.h"

#include <gtest/gtest.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

namespace foil {
namespace {

using test::refusal;

// A loss with a conflict between two options, and with a queue.
struct Spread final : Loss {
  struct Options {
    int64_t hardest = 1, length = 4;
    bool queue = false;
    void describe(Fields& f) {
      f.integer("hardest", hardest, "how many", at_least(1));
      f.integer("length", length, "of the queue", at_least(1));
      f.flag("queue", queue, "asks for one");
    }
  };
  explicit Spread(Options options) : options_(options) {
    if (options_.hardest > options_.length)
      refuse("hardest", options_.hardest, "at most length = " + std::to_string(options_.length));
  }
  Needs needs() const override {
    if (!options_.queue) return {};
    return {.queues = {{options_.length, QueueNeed::Source::online, 0}}};
  }
  Tensor forward(const LossInput& input) override { return input.mean(input.z[0].square().sum(1)); }
  Options options_;
};

// An encoder of vectors; `width` as layer sizes go, `says` what it claims to give.
struct Line final : Encoder {
  struct Options {
    std::vector<int64_t> widths = {4};
    int64_t says = 4, largest = 1'000'000;
    void describe(Fields& f) {
      f.integers("widths", widths, "of the layer", at_least(1));
      f.integer("says", says, "its feature_dim", at_least(1));
      f.integer("largest", largest, "input that it can be built for", at_least(1));
    }
  };
  explicit Line(Options options) : options_(std::move(options)) {
    if (options_.widths.size() != 1) refuse("widths", "[]", "a list of one width");
  }
  void setup(const EncoderSizes& sizes) override {
    if (sizes.channels > options_.largest)
      refuse("largest", options_.largest, "at least " + std::to_string(sizes.channels));
    layer_ = register_module("layer", torch::nn::Linear(sizes.channels, options_.widths[0]));
  }
  Features forward(const View& view) override {
    if (view.data.dim() != 2)
      fail(Exit::failure, "line: the view is ", view.data.sizes(), ", allowed: [B, F].");
    return {layer_->forward(view.data), {}, {}};
  }
  int64_t feature_dim() const override { return options_.says; }
  Options options_;
  torch::nn::Linear layer_{nullptr};
};

// An augmentation of images only.
struct Shift final : Augmentation {
  struct Options {
    std::vector<double> range = {0, 1};
    void describe(Fields& f) { f.numbers("range", range, "lowest, highest"); }
  };
  explicit Shift(Options options) { check_interval("range", options.range); }
  View apply(const View& view, const AugmentContext&) override {
    View out = view;
    out.data = as_float_image(view.data);
    return out;
  }
};

// A data set of images of different sizes; or of as many samples as `samples` says, with the labels that it
// says.
struct Odd final : Dataset {
  struct Options {
    int64_t samples = 4, label = 0;
    void describe(Fields& f) {
      f.integer("samples", samples, "how many", at_least(0));
      f.integer("label", label, "of each");
    }
  };
  explicit Odd(Options options) : options_(options) {}
  int64_t size(Split split) const override { return split == Split::train ? options_.samples : 0; }
  std::vector<std::string> classes() const override { return {"one", "two"}; }
  Tensor labels(Split split) const override {
    return torch::full({size(split)}, options_.label, torch::kLong);
  }
  Views read(Split, const Tensor& index) const override {
    View view;
    for (int64_t b = 0; b < index.size(0); ++b)
      view.ragged.push_back(torch::zeros({3, 8 + b, 9}, torch::kByte));
    return {view};
  }
  std::vector<int64_t> shape() const override { return {3, -1, -1}; }
  Options options_;
};

// A sampler that breaks its promise.
struct Careless final : Sampler {
  struct Options {
    std::string fault = "none";
    void describe(Fields& f) {
      f.choice("fault", fault, {"none", "no_steps", "short", "type", "beyond", "nothing"}, "what is wrong");
    }
  };
  explicit Careless(Options options) : fault_(options.fault) {}
  void setup(uint64_t, int64_t batch_size, int64_t dataset_size, const at::Tensor&) override {
    batch_size_ = batch_size;
    dataset_size_ = dataset_size;
  }
  at::Tensor batch(int64_t) override {
    if (fault_ == "nothing") return {};
    if (fault_ == "short") return torch::arange(batch_size_ - 1);
    if (fault_ == "type") return torch::arange(batch_size_, torch::kInt);
    return torch::arange(batch_size_) + (fault_ == "beyond" ? dataset_size_ - 1 : 0);
  }
  int64_t steps_per_epoch() const override { return fault_ == "no_steps" ? 0 : 2; }
  std::string fault_;
  int64_t batch_size_ = 0, dataset_size_ = 0;
};

const Registry& registry() {
  static Registry* const all = [] {
    auto* made = new Registry;
    made->enter("built in", register_builtin_data);
    made->enter("test", [](Plugin& plugin) {
      plugin.loss<Spread>("spread");
      plugin.encoder<Line>("line");
      plugin.augmentation<Shift>("shift");
      plugin.dataset<Odd>("odd");
      plugin.sampler<Careless>("careless");
    });
    return made;
  }();
  return *all;
}

Plan checked(const std::string& toml, const std::vector<std::string>& sets = {}) {
  Node root = parse_toml(toml, "e.toml");
  override_with(root, sets);
  return check(
      root,
      [](const std::string& kind, const std::string& name, const std::string& place) -> const Component& {
        return registry().find(kind, name, place);
      });
}

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
}

TEST(Build, RefusesAtItsPlaceWhatDoesNotFitTheData) {
  EXPECT_EQ(not_built("[[augment]]\nname = \"shift\"\n"),
            "e.toml:10:8: an image augmentation got data [1, 4], allowed: images [B, C, H, W]");
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
