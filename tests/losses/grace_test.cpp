// SPDX-License-Identifier: BSD-3-Clause
#include "losses/grace.cpp"

#include "tests/support/loss_steps.h"

namespace {

using Options = GRACE::Options;

Tensor forward(const Options& options, const std::vector<Tensor>& z, const Tensor& label = {},
               const Tensor& ends = {}) {
  LossInput input = foil::input_of(z, label);
  foil::View view;
  view.edges.ends = ends;
  input.views = {view, view};
  return std::make_shared<GRACE>(options)->forward(input);
}

// As the papers write it: shares of positives among positives and negatives, column by column. Column j is
// row j of the other view, column n + j row j of the anchor's own.
double slow_direction(const Options& o, const Tensor& anchors, const Tensor& others, const Tensor& label,
                      const std::function<bool(int64_t, int64_t)>& neighbour) {
  const int64_t n = anchors.size(0);
  const bool own_view = o.candidates != Candidates::other_view;
  const auto alike = [&](int64_t i, int64_t j) {
    if (i == j || o.positives == GRACE::Positives::sample) return i == j;
    return label[i].item<int64_t>() >= 0 && label[i].item<int64_t>() == label[j].item<int64_t>();
  };
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    double negatives = 0;
    std::vector<double> positives;
    for (int64_t c = 0; c < (own_view ? 2 * n : n); ++c) {
      const int64_t j = c % n;
      const bool own = c == n + i;
      if (own && o.candidates == Candidates::both_views) continue;
      const double e = std::exp(foil::dot(anchors[i], c < n ? others[j] : anchors[j]) / o.temperature);
      const bool positive = alike(i, j) && (c < n || (j != i && o.positives == GRACE::Positives::label));
      if (positive)
        positives.push_back(e);
      else if (!neighbour(i, j))
        negatives += e;
    }
    double shares = 0, logs = 0, all = negatives;
    for (const double e : positives) all += e;
    for (const double e : positives) {
      shares += e / all;
      logs += std::log(e / all) / static_cast<double>(positives.size());
    }
    sum -= o.several_positives == foil::Positives::log_of_sum ? std::log(shares) : logs;
  }
  return sum / static_cast<double>(n);
}

void expect_loop(const Options& o) {
  const auto z = foil::unit_views(2, 7, 5);
  const Tensor label = torch::tensor({0, 1, 0, -1, 1, -1, 2});
  const Tensor ends = torch::tensor({0, 0, 1, 3, 6, 6, 4, 5, 3, 3, 1, 0}, torch::kLong).view({2, 6});
  const auto neighbour = [&](int64_t i, int64_t j) {
    if (o.neighbours == GRACE::Neighbours::negatives) return false;
    return (ends[0] == i).logical_and(ends[1] == j).any().item<bool>();
  };
  double want = slow_direction(o, z[0], z[1], label, neighbour);
  if (o.directions == GRACE::Directions::mean)
    want = (want + slow_direction(o, z[1], z[0], label, neighbour)) / 2;
  EXPECT_NEAR(forward(o, z, label, ends).item<double>(), want, 1e-12)
      << static_cast<int>(o.candidates) << static_cast<int>(o.directions) << static_cast<int>(o.positives)
      << static_cast<int>(o.several_positives) << static_cast<int>(o.neighbours);
}

TEST(GRACE, EqualsTheLoopOverAllPairs) {
  for (const Candidates candidates :
       {Candidates::both_views, Candidates::other_view, Candidates::both_views_and_own})
    for (const auto directions : {GRACE::Directions::mean, GRACE::Directions::first})
      for (const auto neighbours : {GRACE::Neighbours::negatives, GRACE::Neighbours::left_out})
        expect_loop({.temperature = 0.3,
                     .candidates = candidates,
                     .directions = directions,
                     .neighbours = neighbours});
}

TEST(GRACE, EqualsItWithPositivesOfOneClass) {
  for (const Candidates candidates : {Candidates::both_views, Candidates::other_view})
    for (const auto several : {foil::Positives::mean_of_logs, foil::Positives::log_of_sum})
      for (const auto neighbours : {GRACE::Neighbours::negatives, GRACE::Neighbours::left_out})
        expect_loop({.temperature = 0.3,
                     .candidates = candidates,
                     .positives = GRACE::Positives::label,
                     .several_positives = several,
                     .neighbours = neighbours});
}

TEST(GRACE, InBlocksHasTheGradientOfTheWholeMatrix) {
  constexpr int64_t n = 1100;  // 2200 columns: blocks of 953 rows
  auto z = foil::unit_views(2, n, 6);
  for (Tensor& view : z) view.requires_grad_();
  const auto dense = [&](const Tensor& a, const Tensor& b) {
    const Tensor s = torch::cat({torch::matmul(a, b.t()), torch::matmul(a, a.t())}, 1) / 0.3;
    const Tensor self = torch::cat({torch::zeros({n, n}, torch::kBool), torch::eye(n, torch::kBool)}, 1);
    return (s.masked_fill(self, -std::numeric_limits<double>::infinity()).logsumexp(1) - (a * b).sum(1) / 0.3)
        .mean();
  };
  const Tensor ours = forward({.temperature = 0.3}, z), theirs = (dense(z[0], z[1]) + dense(z[1], z[0])) / 2;
  EXPECT_NEAR(ours.item<double>(), theirs.item<double>(), 1e-12);
  const auto by = torch::autograd::grad({3 * ours}, z), want = torch::autograd::grad({3 * theirs}, z);
  for (size_t v = 0; v < 2; ++v) EXPECT_TRUE(torch::allclose(by[v], want[v], 1e-11, 1e-15)) << v;
}

TEST(GRACE, KeepsTheGradientOfAlignedPairsInFloat) {
  // Positives at cosine 1, four negatives at 0, temperature 0.05.
  const std::vector<Tensor> z(2, torch::eye(3, torch::kFloat));
  EXPECT_NEAR(forward({.temperature = 0.05}, z).item<double>() / (4 * std::exp(-20.0)), 1, 1e-5);
}

TEST(GRACE, OneSampleHasNothingToTellApart) {
  for (const Candidates candidates : {Candidates::both_views, Candidates::other_view}) {
    auto z = foil::unit_views(2, 1, 4);
    for (Tensor& view : z) view.requires_grad_();
    const Tensor value = forward({.candidates = candidates}, z);
    value.backward();
    EXPECT_EQ(value.item<double>(), 0);
    EXPECT_EQ(z[0].grad().abs().max().item<double>(), 0);
  }
}

TEST(GRACE, RefusesTheAnchorItselfAmongItsClass) {
  EXPECT_THROW(GRACE({.candidates = Candidates::both_views_and_own, .positives = GRACE::Positives::label}),
               foil::Error);
}

}  // namespace
