// SPDX-License-Identifier: BSD-3-Clause
// Statistics against published and scipy 1.17 values (scipy.stats.ttest_rel, numpy.std with ddof=1).
#include "study/statistics.h"

#include <gtest/gtest.h>

using foil::BySeed;
using foil::paired_t_test;

namespace {

BySeed by_seed(const std::vector<double>& values) {
  BySeed map;
  for (size_t i = 0; i < values.size(); ++i) map[static_cast<int64_t>(i)] = values[i];
  return map;
}

// Student's own sleep data (Biometrika 1908); R prints t = -4.0621, df = 9, p-value = 0.002833.
const BySeed drug1 = by_seed({0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0});
const BySeed drug2 = by_seed({1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4});

}  // namespace

TEST(Statistics, MeanAndSampleStdEqualNumpys) {
  EXPECT_NEAR(foil::mean(drug1), 0.75, 1e-15);
  EXPECT_NEAR(foil::sample_std(drug1), 1.7890096577591623, 1e-14);
  EXPECT_EQ(foil::mean({{7, 3.5}}), 3.5);
  EXPECT_EQ(foil::sample_std({{7, 3.5}}), 0.0);
}

TEST(PairedTTest, EqualsStudentsSleepExample) {
  const auto test = paired_t_test(drug1, drug2);
  EXPECT_EQ(test.pairs, 10);
  EXPECT_NEAR(test.p.value(), 0.002832890197384273, 1e-15);
  EXPECT_NEAR(paired_t_test(drug2, drug1).p.value(), 0.002832890197384273, 1e-15);  // two-sided
}

TEST(PairedTTest, EqualsScipyFromThreePairsOn) {
  EXPECT_NEAR(paired_t_test(by_seed({86.1, 86.4, 85.9}), by_seed({86.5, 86.6, 86.4})).p.value(), 0.05327073759374743, 1e-12);
  EXPECT_NEAR(paired_t_test(by_seed({86.1, 86.4, 85.9, 86.2}), by_seed({86.5, 86.3, 86.4, 86.0})).p.value(), 0.4557586672187608,
              1e-12);
  EXPECT_NEAR(paired_t_test(by_seed({1, 2, 3, 4, 5}), by_seed({1.5, 2.6, 3.4, 4.55, 5.45})).p.value(), 0.00014512817061319757,
              1e-15);
}

TEST(PairedTTest, KeepsItsDigitsFarInTheTail) {
  std::vector<double> a, b;
  for (int i = 0; i < 30; ++i) {
    a.push_back(10.0 + i * 0.001 * (i % 2 ? -1 : 1));
    b.push_back(9.0 + i * 0.002);
  }
  EXPECT_NEAR(paired_t_test(by_seed(a), by_seed(b)).p.value() / 9.211386975367366e-48, 1.0, 1e-9);
}

TEST(PairedTTest, PairsBySeedAndNotByPosition) {
  const BySeed a = {{1, 86.1}, {2, 86.4}, {5, 85.9}, {9, 10.0}};
  const BySeed b = {{0, 99.0}, {1, 86.5}, {2, 86.6}, {5, 86.4}};
  const auto test = paired_t_test(a, b);
  EXPECT_EQ(test.pairs, 3);
  EXPECT_NEAR(test.p.value(), 0.05327073759374743, 1e-12);
}

TEST(PairedTTest, SaysNothingBelowThreePairs) {
  const auto test = paired_t_test({{0, 1.0}, {1, 2.0}, {3, 0.0}}, {{0, 2.0}, {1, 4.0}, {2, 0.0}});
  EXPECT_EQ(test.pairs, 2);
  EXPECT_FALSE(test.p.has_value());
  EXPECT_EQ(foil::to_string(test), "n < 3");
  EXPECT_EQ(paired_t_test({}, drug1).pairs, 0);
}

TEST(PairedTTest, TreatsAConstantDifferenceAsCertain) {
  EXPECT_EQ(paired_t_test(drug1, drug1).p.value(), 1.0);
  BySeed shifted;
  for (const auto& [seed, value] : drug1) shifted[seed] = value + 0.1;  // the differences vary by rounding
  EXPECT_EQ(paired_t_test(drug1, shifted).p.value(), 0.0);
  EXPECT_EQ(foil::to_string(paired_t_test(drug1, shifted)), "< 0.001");
}

TEST(PairedTTest, PrintsThreeDigits) {
  EXPECT_EQ(foil::to_string(paired_t_test(drug1, drug2)), "0.003");
  EXPECT_EQ(foil::to_string(foil::PairedTest{4, 0.4557}), "0.456");
  EXPECT_EQ(foil::to_string(foil::PairedTest{4, 0.00099}), "< 0.001");
}
