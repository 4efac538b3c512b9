// SPDX-License-Identifier: BSD-3-Clause
// evaluate() as a whole: the same result for any world size, protocol ids, what is left out without labels or
// projections.
#include "evaluate/evaluate.h"

#include "data/memory.h"
#include "evaluate/clustering.h"
#include "evaluate/collapse.h"
#include "evaluate/geometry.h"
#include "evaluate/measure.h"
#include "ranks/in_process.h"
#include "tests/support/error_of.h"

#include <foil/cluster.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

#include <mutex>

namespace foil {
namespace {

// Images [C, 3, 3] of five classes, weakly told apart.
Table images(int64_t count, uint64_t seed) {
  torch::manual_seed(seed);
  const Tensor label = torch::randint(5, {count});
  const Tensor noise = torch::randint(200, {count, 2, 3, 3});
  const Tensor pattern = torch::arange(18).view({1, 2, 3, 3}) % (label + 2).view({-1, 1, 1, 1});
  return table_of((noise + 12 * pattern).clamp_max(255).to(torch::kByte), label);
}

MemoryDataset data_set(int64_t train, int64_t test) {
  return MemoryDataset(
      {images(train, 1), test > 0 ? images(test, 2) : Table{}, {"a", "b", "c", "d", "e"}, {}, {}});
}

// A small convolutional encoder with a projection, in fp32.
Subject small_encoder() {
  auto generator = at::detail::createCPUGenerator(3);  // its own: ranks are threads and share the default one
  const Tensor kernel = torch::randn({11, 2, 2, 2}, generator), head = torch::randn({11, 7}, generator);
  const auto encode = [kernel, head](const View& view) {
    const Tensor h = torch::conv2d(view.data, kernel).relu().mean({2, 3});
    return Encoded{h, h.mm(head)};
  };
  const auto prepare = [](const Views& views) {
    View view = views.at(0);
    view.data = view.data.to(torch::kFloat) / 255;
    return view;
  };
  return {encode, prepare, "resize-none", {}, "", ""};
}

View flipped(View view) {
  view.data = view.data.flip(3);
  return view;
}

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Evaluate, IsTheSameForAnyWorldSize) {
  const MemoryDataset data = data_set(1203, 10001);
  Subject subject = small_encoder();
  subject.encode_pair = [&](Split split, const Tensor& index) {
    const View x = subject.prepare(data.read(split, index));
    return std::pair{subject.encode(x), subject.encode(flipped(x))};
  };
  subject.augmentation = "flip";
  EvaluateOptions options;
  options.class_frequency = true;
  torch::set_num_threads(1);  // as the ranks below: sums of many threads round in another order
  const nlohmann::json one = evaluate(subject, data, options, *World::single());
  EXPECT_EQ(one.size(), 24U);
  EXPECT_GT(one["features.knn"]["value"].get<double>(), 25);
  EXPECT_LT(one["features.knn"]["value"].get<double>(), 95);
  for (int world_size : {2, 3}) {
    std::mutex mutex;
    std::vector<nlohmann::json> results;
    in_process_ranks(world_size, [&](World& world) {
      torch::set_num_threads(1);
      const nlohmann::json mine = evaluate(subject, data, options, world);
      const std::lock_guard lock(mutex);
      results.push_back(mine);
    });
    ASSERT_EQ(results.size(), static_cast<size_t>(world_size));
    for (const nlohmann::json& result : results) EXPECT_EQ(result, one) << nlohmann::json::diff(one, result);
  }
}

TEST(Evaluate, EncodesEverySampleOnceInWholeBatches) {
  const MemoryDataset data = data_set(23, 19);
  EvaluateOptions options;
  options.batch_size = 8;
  options.knn.neighbours = 3;
  options.linear = false;
  for (int world_size : {1, 2, 3, 5}) {  // five ranks: some have no batch
    std::mutex mutex;
    std::vector<nlohmann::json> results;
    in_process_ranks(world_size, [&](World& world) {
      torch::set_num_threads(1);
      Subject subject = small_encoder();
      const auto encode = subject.encode;
      subject.encode = [&](const View& x) {
        EXPECT_TRUE(x.size() == 8 || x.size() == 23 % 8 || x.size() == 19 % 8) << x.size();
        EXPECT_FALSE(torch::GradMode::is_enabled());
        return encode(x);
      };
      const nlohmann::json mine = evaluate(subject, data, options, world);
      const std::lock_guard lock(mutex);
      results.push_back(mine);
    });
    const Encoded all =
        small_encoder().encode(small_encoder().prepare(data.read(Split::test, torch::arange(19))));
    for (const nlohmann::json& result : results) {
      EXPECT_EQ(result["features.std"]["protocol"], "std-per-dimension/features/test19/resize-none/v1");
      EXPECT_NEAR(result["projections.uniformity"]["value"].get<double>(), uniformity(all.z), 1e-6);
      EXPECT_EQ(result, results.front());
    }
  }
}

TEST(Evaluate, NamesTheProtocolOfEveryNumber) {
  const MemoryDataset data = data_set(61, 30);
  EvaluateOptions options;
  options.knn.neighbours = 9;
  const nlohmann::json result = evaluate(small_encoder(), data, options, *World::single());
  const auto id = [&](const char* key) { return result.at(key).at("protocol").get<std::string>(); };
  EXPECT_EQ(id("features.knn"), "knn-cosine-k9-T0.07-weighted/features/train61/test30/resize-none/v1");
  EXPECT_EQ(id("projections.linear"),
            "linear-lbfgs-l2from100to1e-06by9-heldout0.1-seed0-tolerance0.0001-iterations300/projections/"
            "train61/test30/resize-none/v1");
  EXPECT_EQ(id("features.uniformity"), "uniformity-t2/features/test30/resize-none/v1");
  EXPECT_EQ(id("features.effective_rank"), "effective-rank/features/test30/resize-none/v1");
  EXPECT_EQ(id("features.std"), "std-per-dimension/features/test30/resize-none/v1");
  EXPECT_EQ(result["features.std"]["dimensions"], 11);
  EXPECT_FALSE(result.contains("features.alignment"));
  options.knn.vote = Vote::majority;
  EXPECT_EQ(evaluate(small_encoder(), data, options, *World::single())["features.knn"]["protocol"],
            "knn-cosine-k9-majority/features/train61/test30/resize-none/v1");
}

TEST(Evaluate, GivesTheHitsBehindItsHeadlineAccuracies) {
  EvaluateOptions options;
  options.knn.neighbours = 9;
  SampleHits hits;
  const nlohmann::json result =
      evaluate({small_encoder()}, data_set(61, 30), options, *World::single(), {}, &hits);
  ASSERT_EQ(hits.size(), 2u);
  for (const char* metric : {"knn", "linear"}) {
    EXPECT_EQ(hits.at(metric).sizes(), (std::vector<int64_t>{30}));
    EXPECT_EQ(100 * hits.at(metric).to(torch::kDouble).mean().item<double>(),
              result[std::string("features.") + metric]["value"].get<double>());
  }
}

TEST(Evaluate, CountsWhatWasTakenForWhat) {
  EvaluateOptions options;
  options.knn.neighbours = 9;
  const MemoryDataset data = data_set(61, 30);
  const Tensor label = data.labels(Split::test);
  const nlohmann::json result = evaluate({small_encoder()}, data, options, *World::single());
  for (const char* metric : {"features.knn", "features.linear"}) {
    const auto counts = result[metric]["confusion"].get<std::vector<std::vector<int64_t>>>();
    int64_t right = 0;
    for (size_t c = 0; c < counts.size(); ++c) {
      EXPECT_EQ(std::accumulate(counts[c].begin(), counts[c].end(), int64_t{0}),
                (label == static_cast<int64_t>(c)).sum().item<int64_t>());
      right += counts[c].at(c);
    }
    EXPECT_DOUBLE_EQ(static_cast<double>(right) / 0.3, result[metric]["value"].get<double>()) << metric;
  }
}

TEST(Evaluate, SaysOfEveryNumberWhatItIs) {
  Subject subject = small_encoder();
  const MemoryDataset data = data_set(61, 30);
  EvaluateOptions options;
  options.class_frequency = options.clustering = true;
  const nlohmann::json result = evaluate(subject, data, options, *World::single());
  std::map<int64_t, std::string> columns;
  for (const auto& [key, entry] : result.items()) {
    const Measure measure = measure_of(entry).value();
    EXPECT_EQ(measure.title.starts_with(key.substr(0, key.find('.'))), !measure.headline) << key;
    if (measure.headline) columns[measure.column] = entry["metric"];
  }
  EXPECT_EQ(columns, (std::map<int64_t, std::string>{{1, "knn"},
                                                     {2, "linear"},
                                                     {3, "knn_many"},
                                                     {4, "knn_medium"},
                                                     {5, "knn_few"},
                                                     {6, "linear_many"},
                                                     {7, "linear_medium"},
                                                     {8, "linear_few"}}));
  EXPECT_EQ(heading(*measure_of(result["features.knn_many"])), "kNN many %");
  EXPECT_EQ(heading(*measure_of(result["projections.knn"])), "projections kNN %");
  EXPECT_EQ(heading(*measure_of(result["features.uniformity"])), "features uniformity ↓");
  EXPECT_EQ(measure_of(result["projections.nmi"])->better, Better::higher);
  EXPECT_EQ(measure_of(result["features.std"])->better, Better::neither);
}

TEST(Evaluate, SplitsAccuracyByClassFrequency) {
  const MemoryDataset data = data_set(61, 30);
  EvaluateOptions options;
  options.linear = false;
  options.class_frequency = true;
  const nlohmann::json result = evaluate(small_encoder(), data, options, *World::single());
  // The parts, weighted by their test samples, are the whole.
  const Tensor label = data.labels(Split::test);
  double whole = 0;
  for (const char* group : {"many", "medium", "few"}) {
    const nlohmann::json& part = result.at(std::string("features.knn_") + group);
    const Tensor classes = torch::tensor(part["classes"].get<std::vector<int64_t>>(), torch::kLong);
    whole += part["value"].get<double>() * torch::isin(label, classes).sum().item<double>() / 30;
  }
  EXPECT_NEAR(whole, result["features.knn"]["value"].get<double>(), 1e-12);
  EXPECT_EQ(result["features.knn_few"]["protocol"],
            "knn-cosine-k20-T0.07-weighted/features/train61/test30/resize-none/v1/few-third-of-classes");
}

TEST(Evaluate, ClustersTheTestSplitAgainstItsLabels) {
  const MemoryDataset data = data_set(61, 30);
  EvaluateOptions options;
  options.linear = false;
  options.clustering = true;
  const nlohmann::json result = evaluate(small_encoder(), data, options, *World::single());
  const Subject subject = small_encoder();
  const Tensor z = subject.encode(subject.prepare(data.read(Split::test, torch::arange(30)))).z;
  const Tensor found = k_means(z, 5, {}, *World::single()).cluster;
  EXPECT_DOUBLE_EQ(result["projections.nmi"]["value"].get<double>(),
                   normalized_mutual_information(found, data.labels(Split::test)));
  EXPECT_DOUBLE_EQ(result["projections.ari"]["value"].get<double>(),
                   adjusted_rand_index(found, data.labels(Split::test)));
  const F1 f1 = f1_scores(classes_of_clusters(found, data.labels(Split::test)), data.labels(Split::test), 5);
  EXPECT_DOUBLE_EQ(result["projections.cluster_accuracy"]["value"].get<double>(), 100 * f1.micro);
  EXPECT_DOUBLE_EQ(result["projections.cluster_f1"]["value"].get<double>(), 100 * f1.macro);
  for (int world_size : {2, 3}) {
    in_process_ranks(world_size, [&](World& world) {
      torch::set_num_threads(1);
      EXPECT_EQ(evaluate(small_encoder(), data, options, world), result);
    });
  }
  EXPECT_EQ(result["features.ari"]["protocol"],
            "ari-kmeans-cosine-k5-restarts5-iterations50-seed0/features/test30/resize-none/v1");
}

TEST(Evaluate, RefusesToClassifyNodesThatAreNone) {
  EvaluateOptions options;
  options.nodes.node_probe = true;
  EXPECT_EQ(
      test::refusal([&] { evaluate(small_encoder(), data_set(61, 30), options, *World::single()); }),
      "evaluate.node_probe = true, allowed: false, as the samples are not all nodes of a graph with labels.");
}

TEST(Evaluate, MeasuresAlignmentOfTwoViews) {
  const MemoryDataset data = data_set(61, 30);
  Subject subject = small_encoder();
  Tensor seen;
  subject.encode_pair = [&](Split split, const Tensor& index) {
    EXPECT_EQ(split, Split::test);
    seen = index;
    const View x = subject.prepare(data.read(split, index));
    return std::pair{subject.encode(x), subject.encode(flipped(x))};
  };
  subject.augmentation = "flip";
  EvaluateOptions options;
  options.linear = false;
  const nlohmann::json result = evaluate(subject, data, options, *World::single());
  const View x = subject.prepare(data.read(Split::test, torch::arange(30)));
  EXPECT_TRUE(seen.equal(torch::arange(30)));
  EXPECT_DOUBLE_EQ(result["features.alignment"]["value"].get<double>(),
                   alignment(subject.encode(x).h, subject.encode(flipped(x)).h));
  EXPECT_DOUBLE_EQ(result["projections.alignment"]["value"].get<double>(),
                   alignment(subject.encode(x).z, subject.encode(flipped(x)).z));
  EXPECT_EQ(result["projections.alignment"]["protocol"], "alignment-a2/projections/test30/flip/v1");
}

TEST(Evaluate, MeasuresOnlyGeometryWithoutLabels) {
  Table train = images(40, 1), test = images(20, 2);
  train.label = test.label = Tensor();
  const nlohmann::json result =
      evaluate(small_encoder(), MemoryDataset({train, test, {}, {}, {}}), {}, *World::single());
  EXPECT_FALSE(result.contains("features.knn"));
  EXPECT_FALSE(result.contains("features.linear"));
  EXPECT_EQ(result["projections.std"]["protocol"], "std-per-dimension/projections/test20/resize-none/v1");
}

TEST(Evaluate, TakesTrainForGeometryWhereThereIsNoTest) {
  const nlohmann::json result = evaluate(small_encoder(), data_set(40, 0), {}, *World::single());
  EXPECT_FALSE(result.contains("features.knn"));
  EXPECT_EQ(result["features.std"]["protocol"], "std-per-dimension/features/train40/resize-none/v1");
}

TEST(Evaluate, LeavesSamplesWithoutLabelOutOfTheVote) {
  Table train = images(60, 1), test = images(30, 2), fewer = train;
  train.label.narrow(0, 50, 10).fill_(-1);
  fewer.columns[0].data = fewer.columns[0].data.narrow(0, 0, 50).contiguous();
  fewer.label = fewer.label.narrow(0, 0, 50).contiguous();
  EvaluateOptions options;
  options.batch_size = 60;
  const auto knn = [&](const Table& bank) {
    return evaluate(small_encoder(), MemoryDataset({bank, test, {"a", "b", "c", "d", "e"}, {}, {}}), options,
                    *World::single())["features.knn"];
  };
  EXPECT_EQ(knn(train), knn(fewer));
  EXPECT_EQ(knn(train)["protocol"], "knn-cosine-k20-T0.07-weighted/features/train50/test30/resize-none/v1");
}

TEST(Evaluate, GivesRawPixelsTheSameProtocol) {
  const MemoryDataset data = data_set(61, 30);
  Subject pixels = small_encoder();
  pixels.encode = raw_pixels;
  const nlohmann::json result = evaluate(pixels, data, {}, *World::single());
  EXPECT_EQ(result["features.std"]["dimensions"], 18);
  EXPECT_EQ(result["features.knn"]["protocol"],
            evaluate(small_encoder(), data, {}, *World::single())["features.knn"]["protocol"]);
  for (const auto& [key, value] : result.items())
    EXPECT_EQ(key.rfind("features.", 0), 0U) << key;  // no projections
}

TEST(Evaluate, MeasuresWhatIsAsked) {
  EvaluateOptions options;
  options.linear = options.geometry = false;
  options.on = {"projections"};
  const nlohmann::json result = evaluate(small_encoder(), data_set(61, 30), options, *World::single());
  EXPECT_EQ(result.size(), 1U);
  EXPECT_TRUE(result.contains("projections.knn"));
  options.on = {"projection"};
  EXPECT_EQ(message_of([&] { evaluate(small_encoder(), data_set(61, 30), options, *World::single()); }),
            "unknown entry 'projection' in evaluate.on. Known entries: features, projections. Did you mean "
            "'projections'?");
}

TEST(Collapse, IsLookedForInTheFirst512SamplesOfTheGlobalBatch) {
  torch::manual_seed(3);
  const Tensor z = 2 + torch::randn({700, 6}, torch::kDouble);
  const Tensor seen = z.slice(0, 0, 512) / z.slice(0, 0, 512).norm(2, {1}, true);
  for (int world_size : {1, 2, 3}) {
    in_process_ranks(world_size, [&](World& world) {
      const int64_t begin = world.rank() * 90,
                    end = world.rank() + 1 == world_size ? 700 : begin + 90;  // uneven
      const Collapse found = look_for_collapse(z.slice(0, begin, end), {}, world);
      EXPECT_NEAR(found.effective_rank, effective_rank(seen), 1e-12);
      EXPECT_NEAR(found.std, seen.std(0, false).mean().item<double>(), 1e-12);
      EXPECT_EQ(found.finding, "");
    });
  }
}

TEST(Collapse, IsFoundByEitherMeasure) {
  torch::manual_seed(3);
  const auto one = World::single();
  CollapseOptions options;
  const auto found = [&](const Tensor& z) { return !look_for_collapse(z, options, *one).finding.empty(); };
  const Tensor noise = torch::randn({64, 16}, torch::kDouble), point = torch::ones({1, 16}, torch::kDouble);
  const Tensor at_a_point = point + 0.02 * noise,
               on_a_line = torch::randn({64, 1}, torch::kDouble) * point + 0.001 * noise;
  EXPECT_TRUE(found(at_a_point));
  EXPECT_TRUE(found(on_a_line));
  options.effective_rank = 0;
  EXPECT_TRUE(found(at_a_point));
  EXPECT_FALSE(found(on_a_line)) << "both signs: the deviation of each dimension is that of a spread";
  options = {};
  options.std = 0;
  EXPECT_FALSE(found(at_a_point)) << "what is left of the spread has every direction";
  EXPECT_TRUE(found(on_a_line));
}

TEST(Evaluate, RejectsAnEncoderThatLosesRows) {
  Subject subject = small_encoder();
  subject.encode = [](const View& x) { return Encoded{x.data.flatten(1).narrow(0, 0, x.size() - 1), {}}; };
  EXPECT_EQ(message_of([&] { evaluate(subject, data_set(61, 30), {}, *World::single()); }),
            "encode train: 60 embeddings for 61 samples.");
}

TEST(Evaluate, ReportsItsProgress) {
  std::vector<std::string> lines;
  EvaluateOptions options;
  options.batch_size = 32;
  options.linear = false;
  options.on = {"features"};
  evaluate(small_encoder(), data_set(61, 30), options, *World::single(),
           [&](const std::string& what, int64_t done, int64_t all) {
             lines.push_back(what + " " + std::to_string(done) + "/" + std::to_string(all));
           });
  EXPECT_EQ(lines,
            (std::vector<std::string>{"encode train 0/2", "encode train 1/2", "encode train 2/2",
                                      "encode test 0/1", "encode test 1/1", "features kNN 0/1",
                                      "features kNN 1/1", "features geometry 0/1", "features geometry 1/1"}));
}

}  // namespace
}  // namespace foil
