// SPDX-License-Identifier: BSD-3-Clause
// Statistics against published values and those of scipy 1.17: scipy.stats.ttest_rel and its
// confidence_interval, permutation_test (permutation_type = "samples", all permutations), bootstrap (method =
// "BCa"); numpy.std with ddof = 1.
#include "study/statistics.h"

#include <gtest/gtest.h>

using foil::BySeed;
using foil::paired_test;

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
  const auto test = paired_test(drug1, drug2);
  EXPECT_EQ(test.pairs, 10);
  EXPECT_NEAR(test.p.value(), 0.002832890197384273, 1e-15);
  EXPECT_NEAR(paired_test(drug2, drug1).p.value(), 0.002832890197384273, 1e-15);  // two-sided
}

TEST(PairedTTest, EqualsScipyFromThreePairsOn) {
  EXPECT_NEAR(paired_test(by_seed({86.1, 86.4, 85.9}), by_seed({86.5, 86.6, 86.4})).p.value(),
              0.05327073759374743, 1e-12);
  EXPECT_NEAR(paired_test(by_seed({86.1, 86.4, 85.9, 86.2}), by_seed({86.5, 86.3, 86.4, 86.0})).p.value(),
              0.4557586672187608, 1e-12);
  EXPECT_NEAR(paired_test(by_seed({1, 2, 3, 4, 5}), by_seed({1.5, 2.6, 3.4, 4.55, 5.45})).p.value(),
              0.00014512817061319757, 1e-15);
}

TEST(PairedTTest, KeepsItsDigitsFarInTheTail) {
  std::vector<double> a, b;
  for (int i = 0; i < 30; ++i) {
    a.push_back(10.0 + i * 0.001 * (i % 2 ? -1 : 1));
    b.push_back(9.0 + i * 0.002);
  }
  EXPECT_NEAR(paired_test(by_seed(a), by_seed(b)).p.value() / 9.211386975367366e-48, 1.0, 1e-9);
}

TEST(PairedTTest, PairsBySeedAndNotByPosition) {
  const BySeed a = {{1, 86.1}, {2, 86.4}, {5, 85.9}, {9, 10.0}};
  const BySeed b = {{0, 99.0}, {1, 86.5}, {2, 86.6}, {5, 86.4}};
  const auto test = paired_test(a, b);
  EXPECT_EQ(test.pairs, 3);
  EXPECT_NEAR(test.p.value(), 0.05327073759374743, 1e-12);
}

TEST(PairedTTest, SaysNothingBelowThreePairs) {
  const auto test = paired_test({{0, 1.0}, {1, 2.0}, {3, 0.0}}, {{0, 2.0}, {1, 4.0}, {2, 0.0}});
  EXPECT_EQ(test.pairs, 2);
  EXPECT_FALSE(test.p.has_value());
  EXPECT_FALSE(test.sign_flip.has_value());
  EXPECT_EQ(paired_test({}, drug1).pairs, 0);
}

TEST(PairedTTest, TreatsAConstantDifferenceAsCertain) {
  EXPECT_EQ(paired_test(drug1, drug1).p.value(), 1.0);
  BySeed shifted;
  for (const auto& [seed, value] : drug1) shifted[seed] = value + 0.1;  // the differences vary by rounding
  EXPECT_EQ(paired_test(drug1, shifted).p.value(), 0.0);
  EXPECT_NEAR(paired_test(drug1, shifted).low.value(), -0.1, 1e-12);
  EXPECT_EQ(paired_test(drug1, shifted).sign_flip.value(), 2.0 / 1024);
  EXPECT_EQ(paired_test(drug1, drug1).sign_flip.value(), 1.0);
}

TEST(SignFlips, EqualScipysExactPermutationTest) {
  EXPECT_EQ(paired_test(drug1, drug2).sign_flip.value(), 0.00390625);
  EXPECT_EQ(
      paired_test(by_seed({86.1, 86.4, 85.9, 86.2}), by_seed({86.5, 86.3, 86.4, 86.0})).sign_flip.value(),
      0.5);
  EXPECT_EQ(
      paired_test(by_seed({1, 2, 3, 4, 5, 7.5}), by_seed({1.5, 2.6, 3.4, 4.55, 5.45, 7.4})).sign_flip.value(),
      0.0625);
}

// scipy gives 0.30877 of 4 * 10^6 draws; 100,000 have a standard deviation of 0.0015.
TEST(SignFlips, AreDrawnAboveTwentyPairs) {
  const BySeed d = by_seed({0.43,  0.17, 0.94,  0.4,   -0.24, 0.66,  1.6,  1.25, -0.4, -0.97, -0.32, 0.34,
                            -2.03, 0.08, -0.95, -0.43, -0.24, -0.02, 0.71, 1.34, 0.17, 1.67,  -0.37, 0.65});
  BySeed zero;
  for (const auto& [seed, value] : d) zero[seed] = 0;
  EXPECT_NEAR(paired_test(d, zero).sign_flip.value(), 0.30877, 0.0075);
}

TEST(Interval, IsStudentsBelowFivePairs) {
  const auto test = paired_test(by_seed({86.1, 86.4, 85.9, 86.2}), by_seed({86.5, 86.3, 86.4, 86.0}));
  EXPECT_NEAR(test.difference, -0.15, 1e-12);
  EXPECT_NEAR(test.low.value(), -0.708819205991916, 1e-12);
  EXPECT_NEAR(test.high.value(), 0.4088192059919188, 1e-12);
  EXPECT_FALSE(paired_test(by_seed({1}), by_seed({2})).low.has_value());
}

// The same quantiles as scipy's, which draws 10^6 of the resamples that are counted here.
TEST(Interval, IsBcaOverAllResamplesOfFiveAndSixPairs) {
  const auto five =
      paired_test(by_seed({86.1, 86.4, 85.9, 86.2, 86.0}), by_seed({86.5, 86.3, 86.4, 86.0, 86.7}));
  EXPECT_NEAR(five.low.value(), -0.54, 1e-9);
  EXPECT_NEAR(five.high.value(), 0.04, 1e-9);
  const auto six = paired_test(by_seed({1, 2, 3, 4, 5, 7.5}), by_seed({1.5, 2.6, 3.4, 4.55, 5.45, 7.4}));
  EXPECT_NEAR(six.low.value(), -0.525, 1e-9);
  EXPECT_NEAR(six.high.value(), -0.0916666666667, 1e-9);
}

// Of 10,000 draws, whose ends spread by about 0.03 around scipy's of 10^6.
TEST(Interval, IsBcaOverDrawnResamplesBeyond) {
  const auto test = paired_test(drug1, drug2);
  EXPECT_NEAR(test.low.value(), -2.64, 0.12);
  EXPECT_NEAR(test.high.value(), -1.05, 0.12);
  EXPECT_EQ(test.low, paired_test(drug1, drug2).low);
}

// Holm's own scheme by hand: .01 * 4, .02 * 3, max(.03 * 2, .06), max(.04, .06).
TEST(Holm, StepsDownOverTheVariantsThatWereTested) {
  std::vector<foil::PairedTest> tests(5);
  const std::vector<double> p = {0.04, 0.01, 0.03, 0.02};
  for (size_t i = 0; i < p.size(); ++i) tests[i].sign_flip = p[i];
  foil::correct({&tests[0], &tests[1], &tests[2], &tests[3], &tests[4]});
  EXPECT_NEAR(tests[1].holm.value(), 0.04, 1e-15);
  EXPECT_NEAR(tests[3].holm.value(), 0.06, 1e-15);
  EXPECT_NEAR(tests[2].holm.value(), 0.06, 1e-15);
  EXPECT_NEAR(tests[0].holm.value(), 0.06, 1e-15);
  EXPECT_FALSE(tests[4].holm.has_value());
}

TEST(Floor, IsTwoChoicesOfSignsInAll) {
  EXPECT_EQ(foil::smallest_p(3), 0.25);
  EXPECT_EQ(foil::smallest_p(6), 0.03125);
  EXPECT_EQ(foil::smallest_p(2, 9), 1.0);
  EXPECT_EQ(foil::pairs_for(0.05), 6);
  EXPECT_EQ(foil::pairs_for(0.05, 20), 10);
}

TEST(PText, HasThreeDigits) {
  EXPECT_EQ(foil::p_text(0.00283), "0.003");
  EXPECT_EQ(foil::p_text(0.4557), "0.456");
  EXPECT_EQ(foil::p_text(0.00099), "< 0.001");
}
