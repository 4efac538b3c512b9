// SPDX-License-Identifier: BSD-3-Clause
// graph_jsd against loops over pairs.
#include "losses/graph_jsd.cpp"

#include "tests/losses/node_test.h"

namespace {

using Estimator = JensenShannon::Estimator;

double soft(double x) { return std::log1p(std::exp(x)); }

// Of scores d [A, M], each pair 1 (positive), -1 (negative) or 0.
double slow(const Tensor& d, const Tensor& kind, const JensenShannon& o) {
  const double log_2 = std::log(2.0), prior = o.positive_prior;
  double down = 0, up = 0, negatives = 0, pairs = 0, others = 0;
  for (int64_t i = 0; i < d.size(0); ++i) {
    double weighted = 0, weights = 0, count = 0;
    for (int64_t j = 0; j < d.size(1); ++j) {
      const double s = d[i][j].item<double>();
      if (kind[i][j].item<int64_t>() == 1) {
        down += log_2 - soft(-s);
        up += soft(s) - log_2;
        ++pairs;
      } else if (kind[i][j].item<int64_t>() == -1) {
        const double w = o.estimator == Estimator::hard ? std::exp(o.concentration * s) : 1;
        weighted += w * (soft(s) - log_2);
        weights += w;
        ++count;
      }
    }
    if (count > 0) negatives += count * weighted / weights;
    others += count;
  }
  if (o.estimator == Estimator::plain) return negatives / others - down / pairs;
  return (negatives / others - prior * up / pairs) / (1 - prior) - down / pairs;
}

std::shared_ptr<GraphJSD> made(const GraphJSD::Options& options) {
  torch::manual_seed(3);
  const auto loss = std::make_shared<GraphJSD>(options);
  loss->setup({.z_dim = 4});
  loss->to(torch::kDouble);
  return loss;
}

TEST(GraphJSD, IsTheBinaryCrossEntropyOfDeepGraphInfomaxLessItsConstant) {
  const auto z = foil::raw_views(2, 7, 4);
  const auto loss = made({});
  const auto parameters = loss->named_parameters();
  const Tensor summary =
      torch::matmul(parameters["summary.weight"], torch::sigmoid(z[0].mean(0))) + parameters["summary.bias"];
  double sum = 0;  // log D(h_i, s) + log(1 - D(h~_i, s))
  for (int64_t i = 0; i < 7; ++i)
    sum += std::log(torch::sigmoid(torch::dot(z[0][i], summary)).item<double>()) +
           std::log1p(-torch::sigmoid(torch::dot(z[1][i], summary)).item<double>());
  EXPECT_NEAR(loss->forward(foil::input_of(z)).item<double>(), -sum / 7 - 2 * std::log(2.0), 1e-12);
}

TEST(GraphJSD, MeetsTheNodesOfTheOtherViewInMVGRL) {
  const auto z = foil::raw_views(4, 7, 4);
  const auto loss = made({.contrast = GraphJSD::Contrast::mvgrl, .projection = false});
  double sum = 0;
  for (size_t v = 0; v < 2; ++v) {
    const Tensor summary = torch::sigmoid(z[v].mean(0)).unsqueeze(1);
    const Tensor d = torch::matmul(torch::cat({z[1 - v], z[3 - v]}), summary).t();
    const Tensor kind = torch::cat({torch::ones({1, 7}), -torch::ones({1, 7})}, 1).to(torch::kLong);
    sum += slow(d, kind, {});
  }
  EXPECT_NEAR(loss->forward(foil::input_of(z)).item<double>(), sum / 2, 1e-12);
}

// The kinds of pairs of nodes by these labels: of the other view, and of the own one.
Tensor kinds(const Tensor& label, GraphJSD::Candidates candidates) {
  const Tensor alike = label.unsqueeze(1) == label, own = torch::eye(label.size(0)) == 1;
  const Tensor other = torch::where(alike.logical_or(own), 1, -1);
  if (candidates == GraphJSD::Candidates::other_view) return other;
  const int64_t itself = candidates == GraphJSD::Candidates::both_views ? 0 : -1;
  return torch::cat({other, torch::where(own, itself, other)}, 1);
}

TEST(GraphJSD, EqualsTheLoopOverPairsOfNodes) {
  const auto z = foil::raw_views(2, 7, 4);
  const Tensor label = torch::tensor({0, 1, 0, 2, 1, 0, 3}, torch::kLong);
  using Candidates = GraphJSD::Candidates;
  for (const Estimator estimator : {Estimator::plain, Estimator::debiased, Estimator::hard}) {
    for (const Candidates candidates :
         {Candidates::other_view, Candidates::both_views, Candidates::both_views_and_own}) {
      for (const bool by_label : {false, true}) {
        const JensenShannon measure{estimator, 0.2, 0.7};
        const auto loss =
            made({GraphJSD::Contrast::nodes, true,
                  by_label ? GraphJSD::Positives::label : GraphJSD::Positives::sample, candidates, measure});
        double sum = 0;
        for (size_t v = 0; v < 2; ++v) {
          const Tensor met = candidates == Candidates::other_view ? z[1 - v] : torch::cat({z[1 - v], z[v]});
          sum += slow(torch::matmul(z[v], met.t()), kinds(by_label ? label : torch::arange(7), candidates),
                      measure);
        }
        EXPECT_NEAR(loss->forward(foil::input_of(z, label)).item<double>(), sum / 2, 1e-12);
      }
    }
  }
}

TEST(GraphJSD, TakesManyNodesABlockAtATime) {
  auto z = foil::raw_views(2, 1500, 4);
  for (Tensor& view : z) view.requires_grad_();
  const JensenShannon measure{Estimator::hard, 0.1, 0.5};
  const auto loss = made({.contrast = GraphJSD::Contrast::nodes,
                          .candidates = GraphJSD::Candidates::both_views,
                          .measure = measure});
  size_t blocks = 0;
  foil::in_row_blocks(1500, 3000, [&](int64_t, int64_t) { ++blocks; });
  ASSERT_GT(blocks, 1u);
  Tensor whole = torch::zeros({}, torch::kDouble);
  const Tensor kind = kinds(torch::arange(1500), GraphJSD::Candidates::both_views);
  for (size_t v = 0; v < 2; ++v) {
    const Tensor d = torch::matmul(z[v], torch::cat({z[1 - v], z[v]}).t());
    const Tensor sums = measure.sums(d, kind == 1, kind == -1, {}).sum(0);
    whole = whole + JensenShannon::value(sums, sums) / 2;
  }
  foil::expect_equal_gradients(loss->forward(foil::input_of(z)), whole, z);
}

TEST(GraphJSD, IsFiniteWithoutNegatives) {
  const auto z = foil::raw_views(2, 1, 4);
  for (const Estimator estimator : {Estimator::plain, Estimator::hard, Estimator::hard_published}) {
    const auto loss = made({.contrast = GraphJSD::Contrast::nodes, .measure = {estimator}});
    EXPECT_TRUE(std::isfinite(loss->forward(foil::input_of(z)).item<double>()));
  }
}

}  // namespace
