// SPDX-License-Identifier: BSD-3-Clause
// Zero-shot classification against loops that transcribe the paper, through evaluate().
#include "evaluate/zero_shot.h"

#include "data/memory.h"
#include "data/texts.h"
#include "evaluate/evaluate.h"
#include "ranks/in_process.h"
#include "tests/support/error_of.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

#include <cmath>
#include <mutex>

namespace foil {
namespace {

using Row = std::vector<double>;

constexpr int64_t kWidth = 5;
constexpr int64_t kLongest = 40;  // bytes of a text
const std::vector<std::string> kNames = {"cat", "dog", "an old oak", "boat", "zebra", "kite", "nobody"};
const std::vector<std::string> kTemplates = {"a photo of a {}.", "{}", "a {} beside another {}"};

Tensor noise(int64_t rows, uint64_t seed) {
  torch::manual_seed(seed);
  return torch::randn({rows, kWidth});
}

// What a byte of a text is worth.
const Tensor& table() {
  static const Tensor table = noise(256, 7);
  return table;
}

// Vectors that lean to the "names" of their classes, some without a label, none of the last class.
MemoryDataset data_set(bool labelled = true, const std::vector<std::string>& names = kNames) {
  Table test;
  torch::manual_seed(2);
  const int64_t samples = 53;
  test.label = torch::randint(0, 6, {samples}, torch::kLong);
  test.columns = {{noise(samples, 3), {}},
                  text_column(std::vector<std::string>(samples, "some text"), kLongest)};
  for (int64_t i = 0; i < samples; ++i) {
    const std::string& name = kNames[static_cast<size_t>(test.label[i].item<int64_t>())];
    Tensor lean = torch::zeros({kWidth});
    for (const char c : name) lean += table()[static_cast<uint8_t>(c)];
    test.columns[0].data[i] = 0.5 * test.columns[0].data[i] + lean / static_cast<double>(name.size());
  }
  for (const int64_t row : {4, 11}) test.label[row] = -1;
  Contents contents;
  contents.modalities = {{"left", {Kind::vector, {kWidth}, 0}}, text_modality("words", kLongest)};
  contents.classes = names;
  if (!labelled) test.label.fill_(-1);
  contents.train = test;
  contents.test = test;
  return MemoryDataset(std::move(contents));
}

// The mean of what the bytes of a text are worth; of vectors the vector itself.
std::vector<Subject> subjects() {
  std::vector<Subject> all(2);
  for (size_t m = 0; m < 2; ++m) {
    all[m].modality = m == 0 ? "left" : "words";
    all[m].preparation = "none";
    all[m].prepare = [m](const Views& raw) { return raw.at(m); };
    all[m].encode = [](const View& view) {
      if (view.kind != Kind::text) return Encoded{view.data, view.data};
      const Tensor counts = torch::arange(view.data.size(1)) < view.length.unsqueeze(1);
      const Tensor z = (table().index({view.data.to(torch::kLong)}) * counts.unsqueeze(2)).sum(1);
      return Encoded{z, z / view.length.unsqueeze(1)};
    };
  }
  return all;
}

EvaluateOptions options_of() {
  EvaluateOptions options;
  options.on = {"projections"};
  options.linear = options.geometry = options.retrieval = false;
  options.knn.neighbours = 3;
  options.batch_size = 4;  // of 21 prompts
  options.zero_shot.templates = kTemplates;
  return options;
}

// ---- The slow truth

Row unit(Row row) {
  double square = 0;
  for (const double x : row) square += x * x;
  for (double& x : row) x /= std::sqrt(square);
  return row;
}

Row of_text(const std::string& text) {
  Row row(kWidth, 0);
  for (const char c : text)
    for (int64_t d = 0; d < kWidth; ++d)
      row[static_cast<size_t>(d)] +=
          table()[static_cast<uint8_t>(c)][d].item<double>() / static_cast<double>(text.size());
  return unit(row);
}

Row of_class(const std::string& name) {
  Row mean(kWidth, 0);
  for (const std::string& prompt :
       {"a photo of a " + name + ".", name, "a " + name + " beside another " + name}) {
    const Row one = of_text(prompt);
    for (size_t d = 0; d < one.size(); ++d) mean[d] += one[d] / 3;
  }
  return unit(mean);
}

struct Truth {
  double top1 = 0, top5 = 0, class_mean = 0;
};

Truth truth(const MemoryDataset& data, const std::vector<std::string>& names) {
  const Tensor vectors = data.read(Split::test, torch::arange(data.size(Split::test)))[0].data,
               labels = data.labels(Split::test);
  Row right(names.size(), 0), there(names.size(), 0);
  Truth truth;
  double samples = 0;
  for (int64_t i = 0; i < labels.size(0); ++i) {
    const int64_t label = labels[i].item<int64_t>();
    if (label < 0) continue;
    std::vector<double> likeness;
    for (const std::string& name : names) {
      const Row of = of_class(name);
      double dot = 0;
      for (size_t d = 0; d < of.size(); ++d)
        dot += of[d] * vectors[i][static_cast<int64_t>(d)].item<double>();
      likeness.push_back(dot);
    }
    const auto own = static_cast<size_t>(label);
    int64_t nearer = 0;
    for (size_t c = 0; c < names.size(); ++c) nearer += c != own && likeness[c] >= likeness[own];
    truth.top1 += nearer == 0;
    truth.top5 += nearer < 5;
    right[own] += nearer == 0;
    there[own] += 1;
    samples += 1;
  }
  double classes = 0;
  for (size_t c = 0; c < names.size(); ++c) {
    if (there[c] == 0) continue;
    truth.class_mean += right[c] / there[c];
    classes += 1;
  }
  return {100 * truth.top1 / samples, 100 * truth.top5 / samples, 100 * truth.class_mean / classes};
}

void expect_truth(const nlohmann::json& result, const Truth& want) {
  const auto value = [&](const char* name) {
    return result.at(std::string("projections.left>words.") + name).at("value").get<double>();
  };
  EXPECT_NEAR(value("zero_shot"), want.top1, 1e-10);
  EXPECT_NEAR(value("zero_shot_top5"), want.top5, 1e-10);
  EXPECT_NEAR(value("zero_shot_class_mean"), want.class_mean, 1e-10);
}

TEST(ZeroShot, IsTheNearestMeanOfThePromptsOfEachClass) {
  const MemoryDataset data = data_set();
  const Truth want = truth(data, kNames);
  EXPECT_GT(want.top1, 20) << "or the test would tell nothing";
  EXPECT_LT(want.top1, 95);
  EXPECT_GT(std::abs(want.top1 - want.class_mean), 0.1);
  const nlohmann::json result = evaluate(subjects(), data, options_of(), *World::single());
  expect_truth(result, want);
  const nlohmann::json& entry = result.at("projections.left>words.zero_shot");
  EXPECT_EQ(entry.at("headline"), true);
  EXPECT_EQ(entry.at("queries"), 51);
  const std::string protocol = entry.at("protocol");
  EXPECT_TRUE(protocol.starts_with("zero-shot-cosine-ties-last-crc32:")) << protocol;
  EXPECT_TRUE(protocol.ends_with("/left>words/projections/test53x7/none/v1")) << protocol;
  EXPECT_FALSE(result.contains("projections.words>left.zero_shot"));
  EXPECT_FALSE(result.contains("projections.left>words.R@1")) << "retrieval was not asked for";
}

TEST(ZeroShot, TakesOtherNamesAndSaysSoInTheProtocol) {
  const MemoryDataset data = data_set(true, {"0", "1", "2", "3", "4", "5", "6"});
  EvaluateOptions options = options_of();
  const nlohmann::json plain = evaluate(subjects(), data, options, *World::single());
  options.zero_shot.classes = kNames;
  const nlohmann::json named = evaluate(subjects(), data, options, *World::single());
  expect_truth(named, truth(data, kNames));
  EXPECT_NE(named.at("projections.left>words.zero_shot").at("protocol"),
            plain.at("projections.left>words.zero_shot").at("protocol"));
}

TEST(ZeroShot, IsTheSameForAnyWorldSize) {
  const MemoryDataset data = data_set();
  torch::set_num_threads(1);
  const nlohmann::json one = evaluate(subjects(), data, options_of(), *World::single());
  for (int world_size : {2, 3}) {
    std::mutex mutex;
    in_process_ranks(world_size, [&](World& world) {
      torch::set_num_threads(1);
      const nlohmann::json mine = evaluate(subjects(), data, options_of(), world);
      const std::lock_guard lock(mutex);
      EXPECT_EQ(mine, one) << nlohmann::json::diff(one, mine);
    });
  }
}

TEST(ZeroShot, OfACollapsedModelIsNothing) {
  std::vector<Subject> collapsed = subjects();
  for (Subject& subject : collapsed)
    subject.encode = [](const View& view) {
      const Tensor ones = torch::ones({view.size(), kWidth});
      return Encoded{ones, ones};
    };
  const nlohmann::json result = evaluate(collapsed, data_set(), options_of(), *World::single());
  EXPECT_EQ(result.at("projections.left>words.zero_shot").at("value"), 0);
  EXPECT_EQ(result.at("projections.left>words.zero_shot_top5").at("value"), 0);
}

TEST(ZeroShot, IsRefusedWhereItSaysNothing) {
  const auto refusal = [](const std::function<void(ZeroShotOptions&)>& change,
                          const std::vector<std::string>& seen = {"left", "words"}, bool labelled = true) {
    ZeroShotOptions options = options_of().zero_shot;
    change(options);
    return test::error_of([&] {
      options.check();
      require_zero_shot(options, data_set(labelled), Split::test, seen);
    });
  };
  const auto as_it_is = [](ZeroShotOptions&) {};
  EXPECT_EQ(refusal(as_it_is), "no error");
  EXPECT_EQ(refusal([](auto& o) {
              o.templates = {"a {}", "a photo"};
            }),
            "2 evaluate.zero_shot = 'a photo', allowed: prompts with {} in the place of the class.");
  EXPECT_EQ(refusal([](auto& o) {
              o.templates = {};
              o.classes = {"cat"};
            }),
            "2 evaluate.zero_shot_classes = ['cat'], allowed: [] without prompts in evaluate.zero_shot.");
  EXPECT_EQ(refusal([](auto& o) {
              o.classes = {"cat", "dog"};
            }),
            "2 evaluate.zero_shot_classes = 2 names, allowed: 7, one for each class of the data set.");
  EXPECT_EQ(refusal(as_it_is, {"left"}),
            "2 evaluate.zero_shot = ['a photo of a {}.', ...], allowed: [], as no view is of a text.");
  EXPECT_EQ(refusal(as_it_is, {"words"}),
            "2 evaluate.zero_shot = ['a photo of a {}.', ...], allowed: [], as all views are of texts.");
  EXPECT_EQ(
      refusal(as_it_is, {"left", "words"}, /*labelled=*/false),
      "2 evaluate.zero_shot = ['a photo of a {}.', ...], allowed: [], as no sample that is measured has a "
      "label.");
  EXPECT_EQ(
      refusal([](auto& o) { o.templates = {"a photo that is longer than any caption: {}"}; }),
      "2 evaluate.zero_shot = 'a photo that is longer than any caption: cat', allowed: prompts of at most 40 "
      "bytes, as long as the longest 'words'.");
}

}  // namespace
}  // namespace foil
