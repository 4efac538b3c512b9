// SPDX-License-Identifier: BSD-3-Clause
// The spread that the test samples alone give: against published intervals, the formula for one pair of
// models, and a bootstrap that draws.
#include "study/test_set.h"

#include "folder.h"
#include "study/table.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace foil {
namespace {

Hits hits_of(std::vector<uint8_t> hits) {
  return std::make_shared<const std::vector<uint8_t>>(std::move(hits));
}

// So many samples, each right with this probability, the easy ones more often.
Hits drawn(size_t samples, double share, uint64_t seed) {
  std::mt19937_64 draw(seed);
  std::vector<uint8_t> hits(samples);
  for (size_t i = 0; i < samples; ++i)
    hits[i] = std::uniform_real_distribution()(draw) < share + (i % 3 == 0 ? -0.2 : 0.1) ? 1 : 0;
  return hits_of(std::move(hits));
}

// Table I, method 3, of Newcombe, Statistics in Medicine 17, 1998, p. 857.
TEST(Wilson, EqualsThePublishedIntervals) {
  const auto expect = [](int64_t hits, int64_t samples, double low, double high) {
    const Interval got = wilson(static_cast<double>(hits) / static_cast<double>(samples), samples);
    EXPECT_NEAR(got.low, low, 5e-5) << hits;
    EXPECT_NEAR(got.high, high, 5e-5) << hits;
  };
  expect(81, 263, 0.2553, 0.3662);
  expect(15, 148, 0.0624, 0.1605);
  expect(0, 20, 0, 0.1611);
  expect(1, 29, 0.0061, 0.1718);
}

// Of n pairs b were right in the first model only and c in the second: (b - c) / n, with the standard error
// sqrt(b + c - (b - c)^2 / n) / n.
TEST(DifferenceOverSamples, OfOneSeedIsThatOfTheDiscordantPairs) {
  std::vector<uint8_t> a(100, 1), b(100, 1);
  for (size_t i = 0; i < 12; ++i) b[i] = 0;
  for (size_t i = 12; i < 17; ++i) a[i] = 0;
  for (size_t i = 20; i < 30; ++i) a[i] = b[i] = 0;
  const Interval got = difference_over_samples({{4, hits_of(a)}}, {{4, hits_of(b)}}).value();
  const double half = 1.959963984540054 * std::sqrt(12 + 5 - 49.0 / 100) / 100;
  EXPECT_NEAR(got.low, 0.07 - half, 1e-12);
  EXPECT_NEAR(got.high, 0.07 + half, 1e-12);
}

// 10,000 resamples of 400 samples: their 2.5 % and 97.5 % quantiles, which are known to about 2 % of the
// width.
TEST(DifferenceOverSamples, IsThatOfThePairedBootstrapOverSamples) {
  const size_t n = 400, resamples = 10'000;
  const std::map<int64_t, Hits> a = {{0, drawn(n, 0.8, 1)}, {1, drawn(n, 0.8, 2)}, {2, drawn(n, 0.8, 3)}},
                                b = {{0, drawn(n, 0.7, 4)}, {2, drawn(n, 0.7, 5)}, {7, drawn(n, 0.7, 6)}};
  std::vector<double> difference(n);
  for (size_t i = 0; i < n; ++i)
    difference[i] = ((*a.at(0))[i] + (*a.at(2))[i] - (*b.at(0))[i] - (*b.at(2))[i]) / 2.0;
  std::mt19937_64 draw(11);
  std::uniform_int_distribution<size_t> one(0, n - 1);
  std::vector<double> means(resamples);
  for (double& mean : means) {
    for (size_t i = 0; i < n; ++i) mean += difference[one(draw)];
    mean /= static_cast<double>(n);
  }
  std::sort(means.begin(), means.end());
  const double low = means[resamples / 40], high = means[resamples - resamples / 40];
  const Interval got = difference_over_samples(a, b).value();
  EXPECT_NEAR(got.low, low, 0.04 * (high - low));
  EXPECT_NEAR(got.high, high, 0.04 * (high - low));
}

TEST(DifferenceOverSamples, NeedsASharedSeedAndAsManySamples) {
  EXPECT_FALSE(difference_over_samples({{0, hits_of({1, 0})}}, {{1, hits_of({1, 0})}}).has_value());
  EXPECT_FALSE(difference_over_samples({{0, hits_of({1, 0})}}, {{0, hits_of({1, 0, 1})}}).has_value());
}

class KeptHits : public ::testing::Test {
 protected:
  // Results and hits of a trial.
  void write(const std::string& trial, double knn, const std::vector<int64_t>& hits) const {
    folder_.write(trial + "/results.json",
                  R"({"protocol": "knn20", "metrics": {"knn": )" + std::to_string(knn) + R"(}, "step": 1})");
    write_hits(folder_.at(trial), {{"knn", at::tensor(hits).to(at::kBool)}});
  }
  std::map<std::string, Hits> read(const std::string& trial) const {
    return read_hits(folder_.at(trial), parse_results(folder_.read(trial + "/results.json"), trial));
  }
  const foil_test::Folder folder_;
};

TEST_F(KeptHits, AreReadBack) {
  write("a", 75, {1, 0, 1, 1});
  ASSERT_EQ(read("a").size(), 1u);
  EXPECT_EQ(*read("a").at("knn"), (std::vector<uint8_t>{1, 0, 1, 1}));
  write_hits(folder_.at("a"), {});
  EXPECT_TRUE(read("a").empty());
}

TEST_F(KeptHits, ThatAreDamagedOrOfOtherNumbersCountAsNotThere) {
  write("a", 50, {1, 0, 1, 1});
  EXPECT_TRUE(read("a").empty()) << "three of four are 75 %";
  write("b", 75, {1, 0, 1, 1});
  const std::string bytes = folder_.read("b/hits.safetensors");
  folder_.write("b/hits.safetensors", bytes.substr(0, bytes.size() - 1));
  EXPECT_TRUE(read("b").empty());
  folder_.write("b/hits.safetensors", bytes.substr(0, bytes.size() - 1) + "\x07");
  EXPECT_TRUE(read("b").empty());
}

TEST_F(KeptHits, StandBesideTheSpreadOverSeedsInTheTable) {
  write("a-seed0", 75, {1, 0, 1, 1});
  write("a-seed1", 50, {1, 0, 0, 1});
  write("b-seed0", 75, {1, 1, 0, 1});
  write("b-seed1", 100, {1, 1, 1, 1});
  for (const std::string trial : {"a-seed0", "a-seed1", "b-seed0", "b-seed1"})
    folder_.write(trial + "/config.resolved.toml",
                  "run.name \"" + trial.substr(0, 1) + "\"\nrun.seed " + trial.substr(6));
  const Comparison comparison =
      load_comparison({folder_.path()}, [](const std::string& text, const std::string&) {
        std::map<std::string, std::string> config;
        std::istringstream file(text);
        for (std::string key, value; file >> key >> value;) config[key] = value;
        return config;
      });
  EXPECT_EQ(render(comparison, Format::table),
            "protocol knn20\n"
            "variant     kNN %         n   kNN - a                  p       by samples\n"
            "a         = 62.5 ± 17.7   2                            -\n"
            "b         * 87.5 ± 17.7   2   +25.0 [-292.7, +342.7]   n < 3   [-17.4, +67.4]\n"
            "The choice of the 4 test samples alone gives kNN of a the 95 % interval [21.9, 90.8] (Wilson).\n"
            "= level with the best variant: the 95 % interval of the difference by seed holds 0.\n"
            "Differences by seed with their 95 % interval; p: exact sign-flip test.\n"
            "By samples: the 95 % interval of the difference by the choice of the test samples alone, the "
            "trained models held.\n"
            "2 seeds cannot reach p < 0.05 here, 6 can.\n");
  const auto rows = nlohmann::json::parse(render(comparison, Format::json))["tables"][0]["rows"];
  const auto a = rows[0]["metrics"]["knn"], b = rows[1]["metrics"]["knn"];
  EXPECT_EQ(a["samples"], 4);
  EXPECT_NEAR(a["by_samples"][0].get<double>(), 100 * wilson(0.625, 4).low, 1e-9);
  EXPECT_FALSE(a.contains("difference_by_samples"));
  EXPECT_NEAR(b["difference_by_samples"][0].get<double>(), -17.434465027856438, 1e-9);  // numpy
}

}  // namespace
}  // namespace foil
