// SPDX-License-Identifier: BSD-3-Clause
// The draws that an encoder may make: dropout and stochastic depth, keyed by the sample.
#include "tests/support/error_of.h"

#include <foil/encoder.h>

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

namespace {

using at::Tensor;

const Tensor kKeys = torch::arange(64, torch::kLong) * 7919 - 11;

TEST(Dropout, IsTheInputItselfWithoutAKeyOrAProbability) {
  const Tensor x = torch::rand({64, 3});
  EXPECT_TRUE(foil::dropout(x, 0.5, {}, "a").is_same(x));
  EXPECT_TRUE(foil::dropout(x, 0, kKeys, "a").is_same(x));
  EXPECT_TRUE(foil::stochastic_depth(x, 0.5, {}, "a").is_same(x));
  EXPECT_TRUE(foil::stochastic_depth(x, 0, kKeys, "a").is_same(x));
}

TEST(Dropout, DropsAsOftenAsItsProbabilityAndKeepsTheMean) {
  for (const double p : {0.1, 0.5, 0.9}) {
    const Tensor out = foil::dropout(torch::ones({64, 5, 20, 20}, torch::kDouble), p, kKeys, "a");
    const double n = static_cast<double>(out.numel());
    EXPECT_NEAR((out == 0).sum().item<double>() / n, p, 4 * std::sqrt(p * (1 - p) / n));
    EXPECT_TRUE(((out == 0) | ((out - 1 / (1 - p)).abs() < 1e-12)).all().item<bool>());
    const Tensor places = (out == 0)
                              .to(torch::kDouble)
                              .mean(0);  // each place of a row alike: four deviations of the worst of 2000
    EXPECT_LT((places - p).abs().max().item<double>(), 4.5 * std::sqrt(p * (1 - p) / 64) + 1.0 / 64);
  }
}

TEST(Dropout, FollowsTheSampleWhateverItsPlaceOrItsBatch) {
  const Tensor x = torch::rand({64, 4, 3}), order = torch::arange(63, -1, -1);
  const Tensor whole = foil::dropout(x, 0.4, kKeys, "a"), deep = foil::stochastic_depth(x, 0.4, kKeys, "a");
  EXPECT_TRUE(foil::dropout(x.index({order}), 0.4, kKeys.index({order}), "a").equal(whole.index({order})));
  EXPECT_TRUE(
      foil::dropout(x.slice(0, 20, 27), 0.4, kKeys.slice(0, 20, 27), "a").equal(whole.slice(0, 20, 27)));
  EXPECT_TRUE(foil::stochastic_depth(x.slice(0, 20, 27), 0.4, kKeys.slice(0, 20, 27), "a")
                  .equal(deep.slice(0, 20, 27)));
  EXPECT_EQ(foil::dropout(x.slice(0, 0, 0), 0.4, kKeys.slice(0, 0, 0), "a").sizes(),
            (std::vector<int64_t>{0, 4, 3}));
}

TEST(Dropout, DrawsAnewForAnotherNameOrKeyAndTheSameForTheSame) {
  const Tensor x = torch::ones({64, 50});
  const auto kept = [&](const Tensor& key, const char* name) {
    return foil::dropout(x, 0.5, key, name) != 0;
  };
  const Tensor base = kept(kKeys, "a");
  EXPECT_TRUE(kept(kKeys, "a").equal(base));
  for (const Tensor& other :
       {kept(kKeys, "b"), kept(kKeys + 1, "a")})  // independent: equal in half of 3200 places
    EXPECT_NEAR((other == base).to(torch::kDouble).mean().item<double>(), 0.5, 4 * 0.5 / std::sqrt(3200));
}

TEST(StochasticDepth, LeavesWholeRowsOut) {
  const Tensor out =
      foil::stochastic_depth(torch::ones({4000, 2, 3}, torch::kDouble), 0.25, torch::arange(4000), "a");
  const Tensor row = out.flatten(1);
  EXPECT_TRUE(((row == 0).all(1) | ((row - 1 / 0.75).abs() < 1e-12).all(1)).all().item<bool>());
  EXPECT_NEAR((row.select(1, 0) == 0).to(torch::kDouble).mean().item<double>(), 0.25,
              4 * std::sqrt(0.25 * 0.75 / 4000));
}

TEST(Dropout, PassesTheGradientOfWhatItKeeps) {
  const Tensor x = torch::rand({64, 6}, torch::kDouble).requires_grad_();
  const Tensor out = foil::dropout(x, 0.5, kKeys, "a");
  out.sum().backward();
  EXPECT_TRUE(x.grad().equal((out.detach() != 0).to(torch::kDouble) * 2));
}

TEST(Dropout, KeepsLayoutAndTypeAndDrawsAlikeInAny) {
  const Tensor x = torch::rand({64, 3, 4, 5}), want = foil::dropout(x, 0.5, kKeys, "a");
  const Tensor last = foil::dropout(x.contiguous(at::MemoryFormat::ChannelsLast), 0.5, kKeys, "a");
  EXPECT_TRUE(last.is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(last.equal(want));
  const Tensor half = foil::dropout(x.to(torch::kBFloat16), 0.5, kKeys, "a");
  EXPECT_EQ(half.scalar_type(), torch::kBFloat16);
  EXPECT_TRUE((half != 0).equal(want != 0));
  EXPECT_TRUE(foil::stochastic_depth(x.contiguous(at::MemoryFormat::ChannelsLast), 0.5, kKeys, "a")
                  .is_contiguous(at::MemoryFormat::ChannelsLast));
}

TEST(Dropout, RefusesAProbabilityOfOneAndKeysThatDoNotFit) {
  const auto refused = [](const Tensor& x, double p, const Tensor& key) {
    return foil::test::refusal([&] { foil::dropout(x, p, key, "a"); });
  };
  const Tensor x = torch::rand({64, 3});
  EXPECT_EQ(refused(x, 1, kKeys), "dropout: probability = 1, allowed: 0 <= probability < 1.");
  EXPECT_EQ(refused(x, -0.1, {}), "dropout: probability = -0.1, allowed: 0 <= probability < 1.");
  EXPECT_EQ(refused(x, std::nan(""), kKeys), "dropout: probability = nan, allowed: 0 <= probability < 1.");
  EXPECT_EQ(refused(x.slice(0, 1), 0.5, kKeys),
            "dropout: x is [63, 3], allowed: [64, ...], a row for each key.");
  EXPECT_EQ(refused(x, 0.5, kKeys.to(torch::kFloat)),
            "dropout: the key is CPUFloatType [64], allowed: View::key, int64 [B].");
}

}  // namespace
