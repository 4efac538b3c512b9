// SPDX-License-Identifier: BSD-3-Clause
// Geometry against loops over the papers' formulas and against spectra whose effective rank is known.
#include "evaluate/geometry.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

namespace foil {
namespace {

double distance(const Tensor& a, const Tensor& b) {  // of the unit vectors
  double aa = 0, bb = 0, sum = 0;
  for (int64_t i = 0; i < a.size(0); ++i) {
    aa += std::pow(a[i].item<double>(), 2);
    bb += std::pow(b[i].item<double>(), 2);
  }
  for (int64_t i = 0; i < a.size(0); ++i)
    sum += std::pow(a[i].item<double>() / std::sqrt(aa) - b[i].item<double>() / std::sqrt(bb), 2);
  return std::sqrt(sum);
}

// x [rows, F] with these singular values: orthonormal columns from a QR, times sigma, times a rotation.
Tensor with_spectrum(int64_t rows, const std::vector<double>& sigma) {
  const int64_t width = static_cast<int64_t>(sigma.size());
  const auto [u, r] = torch::linalg_qr(torch::randn({rows, width}, torch::kDouble));
  const auto [v, r2] = torch::linalg_qr(torch::randn({width, width}, torch::kDouble));
  return (u * torch::tensor(sigma, torch::kDouble)).mm(v);
}

TEST(Alignment, EqualsTheLoopOverPairs) {
  torch::manual_seed(1);
  const Tensor z1 = torch::randn({23, 5}, torch::kDouble),
               z2 = z1 + 0.3 * torch::randn({23, 5}, torch::kDouble);
  for (double alpha : {1.0, 2.0}) {
    double sum = 0;
    for (int64_t i = 0; i < 23; ++i) sum += std::pow(distance(z1[i], z2[i]), alpha);
    EXPECT_NEAR(alignment(z1, z2, alpha), sum / 23, 1e-12);
  }
  EXPECT_NEAR(alignment(z1, 3 * z1), 0, 1e-28);
  EXPECT_NEAR(alignment(z1, -z1), 4, 1e-12);
}

TEST(Alignment, RejectsViewsOfDifferentShape) {
  try {
    alignment(torch::ones({4, 3}), torch::ones({5, 3}));
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "alignment: the views are [4, 3] and [5, 3]; they must agree.");
  }
}

TEST(Uniformity, EqualsTheLoopOverPairsForAnyChunk) {
  torch::manual_seed(2);
  const Tensor z = torch::randn({41, 3}, torch::kDouble);
  for (double t : {0.5, 2.0}) {
    double sum = 0;
    for (int64_t i = 0; i < 41; ++i) {
      for (int64_t j = i + 1; j < 41; ++j) sum += std::exp(-t * std::pow(distance(z[i], z[j]), 2));
    }
    for (int64_t chunk_bytes : {1, 41 * 8 * 7, 1 << 20})
      EXPECT_NEAR(uniformity(z, t, chunk_bytes), std::log(sum / (41 * 20)), 1e-12);
  }
}

TEST(Uniformity, IsZeroWhenCollapsedAndMinusEightForAntipodes) {
  EXPECT_NEAR(uniformity(torch::ones({9, 4})), 0, 1e-12);
  EXPECT_NEAR(uniformity(torch::tensor({{1.0, 0.0}, {-5.0, 0.0}})), -8, 1e-12);
  EXPECT_THROW(uniformity(torch::ones({1, 4})), Error);
}

TEST(EffectiveRank, IsTheExponentialOfTheEntropyOfTheSpectrum) {
  torch::manual_seed(3);
  EXPECT_NEAR(effective_rank(with_spectrum(31, {5, 5, 5, 5, 5, 5, 5})), 7, 1e-9);
  const double entropy = -(0.5 * std::log(0.5) + 2 * 0.25 * std::log(0.25));
  EXPECT_NEAR(effective_rank(with_spectrum(31, {2, 1, 1})), std::exp(entropy), 1e-9);
  EXPECT_NEAR(effective_rank(with_spectrum(31, {2, 0, 1, 0, 1, 0})), std::exp(entropy), 1e-6);
  EXPECT_NEAR(effective_rank(with_spectrum(31, {2, 1, 1}).t()), std::exp(entropy),
              1e-6);  // fewer rows than dimensions
}

TEST(EffectiveRank, IsOneForALineAndDoesNotCentre) {
  torch::manual_seed(4);
  const Tensor line = torch::randn({50, 1}).mm(torch::randn({1, 6}));
  EXPECT_NEAR(effective_rank(line), 1, 1e-4);  // the rounding of fp32 adds directions
  EXPECT_NEAR(effective_rank(torch::ones({50, 6})), 1, 1e-6);
  EXPECT_NEAR(effective_rank(torch::ones({50, 6}) * 100 + torch::randn({50, 6}) * 1e-3), 1, 1e-3);
  EXPECT_EQ(effective_rank(torch::zeros({5, 3})), 0);
}

TEST(EffectiveRank, DoesNotDependOnScaleOrChunk) {
  torch::manual_seed(5);
  const Tensor x = torch::randn({57, 9}, torch::kDouble);
  const double whole = effective_rank(x),
               sharp = effective_rank(x * torch::tensor({1., 1., 1., 1., 1., 1., 1., .1, .1}));
  EXPECT_NEAR(effective_rank(x * 1e4), whole, 1e-9);
  for (int64_t chunk_bytes : {1, 9 * 8 * 10}) EXPECT_NEAR(effective_rank(x, chunk_bytes), whole, 1e-9);
  EXPECT_LT(sharp, whole - 0.5);
}

TEST(StdPerDimension, EqualsTheLoopOverRows) {
  torch::manual_seed(6);
  const Tensor z =
      torch::randn({29, 4}, torch::kDouble) * torch::tensor({1.0, 0.1, 2.0, 3.0}, torch::kDouble);
  double total = 0, least = 9;
  for (int64_t d = 0; d < 4; ++d) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < 29; ++i) {
      double norm = 0;
      for (int64_t j = 0; j < 4; ++j) norm += std::pow(z[i][j].item<double>(), 2);
      const double unit = z[i][d].item<double>() / std::sqrt(norm);
      sum += unit;
      squares += unit * unit;
    }
    const double deviation = std::sqrt(squares / 29 - std::pow(sum / 29, 2));
    total += deviation;
    least = std::min(least, deviation);
  }
  const Spread spread = std_per_dimension(z);
  EXPECT_NEAR(spread.mean, total / 4, 1e-12);
  EXPECT_NEAR(spread.min, least, 1e-12);
  EXPECT_LT(spread.min, 0.5 * spread.mean);
}

TEST(StdPerDimension, IsZeroWhenCollapsed) {
  const Spread spread =
      std_per_dimension(torch::tensor({{1.0, 2.0}}).repeat({7, 1}) * torch::arange(1, 8).unsqueeze(1));
  EXPECT_NEAR(spread.mean, 0, 1e-12);
  EXPECT_NEAR(spread.min, 0, 1e-12);
}

TEST(Geometry, RejectsNonFiniteEmbeddings) {
  Tensor z = torch::ones({4, 3});
  z[2][1] = NAN;
  EXPECT_THROW(alignment(z, z), Error);
  EXPECT_THROW(uniformity(z), Error);
  EXPECT_THROW(effective_rank(z), Error);
  EXPECT_THROW(std_per_dimension(z), Error);
}

TEST(ModalityGap, IsTheDistanceOfTheCentresOnTheSphere) {
  torch::manual_seed(7);
  const Tensor x = torch::randn({13, 5}) + 1, y = torch::randn({8, 5});
  double square = 0;
  for (int64_t j = 0; j < 5; ++j) {
    double difference = 0;
    for (int64_t i = 0; i < 13; ++i)
      difference += x[i][j].item<double>() / x[i].to(torch::kDouble).norm().item<double>() / 13;
    for (int64_t i = 0; i < 8; ++i)
      difference -= y[i][j].item<double>() / y[i].to(torch::kDouble).norm().item<double>() / 8;
    square += difference * difference;
  }
  EXPECT_NEAR(modality_gap(x, y), std::sqrt(square), 1e-12);
  EXPECT_NEAR(modality_gap(x, 8 * x), 0, 1e-12);
  EXPECT_NEAR(modality_gap(torch::ones({3, 2}), -torch::ones({4, 2})), 2, 1e-12);
  EXPECT_THROW(modality_gap(x, torch::ones({2, 4})), Error);
}

}  // namespace
}  // namespace foil
