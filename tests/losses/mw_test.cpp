// SPDX-License-Identifier: BSD-3-Clause
#include "losses/mw.cpp"

#include "tests/support/loss_steps.h"

namespace {

// All pairs of a positive and a negative, as a tensor [N, N (N + H)] or less, with autograd.
struct Naive {
  Tensor value, auc;
};

Tensor pair_mask(Pairing pairing, int64_t n, int64_t hard) {
  const Tensor id = torch::arange(n);
  const Tensor positive = id.view({n, 1, 1}), query = id.view({1, n, 1});
  const Tensor column = torch::cat({id, torch::full({hard}, -1, torch::kLong)}).view({1, 1, n + hard});
  const Tensor negative = (column != query).expand({n, n, n + hard});
  const Tensor is_hard = (column == -1).expand({n, n, n + hard}), same = (positive == query);
  switch (pairing) {
    case Pairing::all:
      return negative;
    case Pairing::per_query:
      return negative.logical_and(same);
    case Pairing::explicit_all:
      return is_hard;
    case Pairing::explicit_cross:
      return is_hard.logical_and(same.logical_not());
  }
  return {};
}

Naive naive(const MWOptions& o, const std::vector<Tensor>& z) {
  const int64_t n = z[0].size(0), hard = static_cast<int64_t>(z.size()) - 2;
  std::vector<Tensor> columns{torch::matmul(z[0], z[1].t())};
  for (size_t v = 2; v < z.size(); ++v) columns.push_back((z[0] * z[v]).sum(1, true));
  const Tensor scores = torch::cat(columns, 1), positive = columns[0].diag();    // [N, N + H], [N]
  const Tensor lead = positive.view({n, 1, 1}) - scores.view({1, n, n + hard});  // [N, N, N + H]
  const Tensor mask = pair_mask(o.pairing, n, hard);
  const Tensor by = lead.masked_select(mask);
  const Tensor cost = o.surrogate == Surrogate::logistic ? -torch::log_sigmoid(by / o.temperature)
                      : o.surrogate == Surrogate::hinge  ? (o.margin - by).clamp_min(0)
                                                         : (o.margin - by).clamp_min(0).square();
  const Tensor compared =
      lead.masked_select(pair_mask(o.in_batch() ? Pairing::all : Pairing::explicit_all, n, hard));
  return {cost.mean(), (compared > 0).to(torch::kDouble).mean()};
}

std::vector<Tensor> leaves(int64_t views, int64_t n, int64_t d) {
  auto z = foil::unit_views(views, n, d);
  for (Tensor& view : z) view.requires_grad_();
  return z;
}

void expect_naive(const MWOptions& options, const std::vector<Tensor>& z, const std::string& what) {
  const LossInput input = foil::input_of(z);
  const Tensor value = std::make_shared<MW>(options)->forward(input);
  const Naive slow = naive(options, z);
  EXPECT_NEAR(value.item<double>() / slow.value.item<double>(), 1, 1e-12) << what;
  EXPECT_NEAR(input.reports().at("auc").item<double>(), slow.auc.item<double>(), 1e-12) << what;
  const auto gradients = [&](const Tensor& of) {
    return torch::autograd::grad({of}, z, {}, false, false, /*allow_unused=*/true);
  };
  const auto ours = gradients(value), theirs = gradients(slow.value);
  for (size_t v = 0; v < z.size(); ++v) {
    const Tensor want = theirs[v].defined() ? theirs[v] : torch::zeros_like(z[v]);
    EXPECT_LT((ours[v] - want).abs().max().item<double>(), 1e-12 * (1 + want.abs().max().item<double>()))
        << what << ", view " << v;
  }
}

constexpr Pairing pairings[] = {Pairing::all, Pairing::per_query, Pairing::explicit_all,
                                Pairing::explicit_cross};
constexpr Surrogate surrogates[] = {Surrogate::logistic, Surrogate::hinge, Surrogate::squared_hinge};

std::string name(const MWOptions& o) {
  return "pairing " + std::to_string(static_cast<int>(o.pairing)) + ", surrogate " +
         std::to_string(static_cast<int>(o.surrogate)) + ", temperature " + std::to_string(o.temperature);
}

TEST(MW, EqualsTheTensorOfAllPairs) {
  const auto z = leaves(4, 7, 5);
  for (const Pairing pairing : pairings)
    for (const Surrogate surrogate : surrogates) {
      const MWOptions o{.temperature = 0.3, .pairing = pairing, .surrogate = surrogate, .margin = 0.4};
      expect_naive(o, z, name(o));
    }
  const std::vector<Tensor> two{z[0], z[1]};
  for (const Pairing pairing : {Pairing::all, Pairing::per_query})
    expect_naive({.temperature = 0.1, .pairing = pairing}, two, "without hard negatives");
}

TEST(MW, EqualsItWhereNegativesAreManyAndCostsInterpolated) {
  // 40 queries: 1640 negatives, more than the points of the cells at these temperatures, and of the hinges.
  const auto z = leaves(3, 40, 5);
  for (const double temperature : {0.04, 0.2, 1.0, 30.0}) {
    const MWOptions o{.temperature = temperature};
    expect_naive(o, z, name(o));
  }
  for (const Surrogate surrogate : {Surrogate::hinge, Surrogate::squared_hinge})
    for (const double margin : {0.01, 0.4, 3.0}) {
      const MWOptions o{.surrogate = surrogate, .margin = margin};
      expect_naive(o, z, name(o) + ", margin " + std::to_string(margin));
    }
}

TEST(MW, KeepsTheSmallestCostsOfPairsThatAreToldApart) {
  // Every positive at 1, every negative at or below 0: costs of exp(-1/0.04) and less.
  const Tensor eye = torch::eye(24, torch::kDouble);
  const std::vector<Tensor> z{eye.clone().requires_grad_(),
                              foil::unit(eye - 0.01 * (1 - eye)).requires_grad_()};
  expect_naive({.temperature = 0.04}, z, "told apart");
}

TEST(MW, CostsAtLeastWhatTheAreaLacks) {
  for (const Pairing pairing : {Pairing::all, Pairing::explicit_all})
    for (const double temperature : {0.01, 0.1, 10.0})
      for (const uint64_t seed : {1, 2, 3}) {
        const LossInput input = foil::input_of(foil::unit_views(3, 9, 4, seed));
        MW loss({.temperature = temperature, .pairing = pairing});
        const double value = loss.forward(input).item<double>();
        EXPECT_GE(value / std::log(2.0), 1 - input.reports().at("auc").item<double>());
      }
}

TEST(MW, CountsATieAsHalfAWin) {
  // The documents of all queries are one and the same: every pair ties, however its products are added up.
  const auto z = foil::unit_views(2, 30, 17);
  const std::vector<Tensor> same{z[0][0].expand({30, 17}), z[1][0].expand({30, 17})};
  for (const Pairing pairing : {Pairing::all, Pairing::per_query}) {
    const LossInput input = foil::input_of(same);
    MW({.pairing = pairing}).forward(input);
    EXPECT_EQ(input.reports().at("auc").item<double>(), 0.5);
  }
}

TEST(MW, OneQueryHasNothingToBeComparedWith) {
  auto z = leaves(2, 1, 4);
  const LossInput input = foil::input_of(z);
  const Tensor value = std::make_shared<MW>(MWOptions{})->forward(input);
  value.backward();
  EXPECT_EQ(value.item<double>(), 0);
  EXPECT_EQ(z[0].grad().abs().max().item<double>(), 0);
  EXPECT_FALSE(input.reports().contains("auc"));
}

TEST(MW, TheGradientOf512QueriesIsThatOfTheirCubeOfPairs) {
  auto z = leaves(2, 512, 8);
  const double temperature = 0.05;
  MW loss({.temperature = temperature});
  loss.forward(foil::input_of(z)).backward();
  torch::NoGradGuard no_grad;
  const Tensor scores = torch::matmul(z[0], z[1].t()), own = torch::eye(512, torch::kBool);
  Tensor by = torch::zeros_like(scores);  // the derivative by every score
  const double pairs = 512.0 * 512 * 511;
  for (int64_t i = 0; i < 512; ++i) {
    const Tensor slope =
        torch::sigmoid((scores - scores[i][i]) / temperature).masked_fill(own, 0) / (temperature * pairs);
    by.add_(slope);
    by[i][i].sub_(slope.sum());
  }
  EXPECT_TRUE(torch::allclose(z[0].grad(), torch::matmul(by, z[1]), 1e-11, 1e-16));
  EXPECT_TRUE(torch::allclose(z[1].grad(), torch::matmul(by.t(), z[0]), 1e-11, 1e-16));
}

}  // namespace
