// SPDX-License-Identifier: BSD-3-Clause
// Centralities, strengths and probabilities against their definitions, written with dense matrices or loops.
#include "augment/graph_weights.h"

#include "augment/communities.h"
#include "graph_test.h"

#include <ATen/ops/linalg_eigh.h>

using foil::Tensor;
using namespace foil::test;
using namespace foil::augment;

namespace {

const foil::View& some_graph() {
  static const foil::View view = random_graph(30, 120, 6, 1);
  return view;
}
const Tensor& ends() { return some_graph().edges.ends; }
Tensor adjacency() { return dense({ends(), {}, {}}, 30); }  // [to, from]

}  // namespace

TEST(GraphWeights, CountNeighboursWhicheverWayAnEdgeGoesAndHoweverOften) {
  const Tensor some = at::tensor({0, 1, 1, 2, 0, 1, 0, 1}, at::kLong).view({2, 4});
  EXPECT_TRUE(degree(at::stack({some[0], some[1]}), 4).equal(at::tensor({2.0, 3.0, 1.0, 0.0}, at::kDouble)))
      << "0-0, 0-1 in both directions, 1-1, 1-2";
  expect_near(degree(ends(), 30), adjacency().sum(1), 0);
}

TEST(GraphWeights, OfPageRankAreThePublishedSteps) {
  const Tensor a = adjacency(), walk = a / a.sum(0);  // column: what leaves a node
  Tensor x = at::ones({30}, at::kDouble);
  for (int64_t i = 0; i < 7; ++i) x = 0.5 * x + 0.5 * walk.mv(x);
  expect_near(pagerank(ends(), 30, 7, 0.5), x, 1e-14);
  const Tensor stationary = a.sum(1) / a.sum() * 30;
  expect_near(pagerank(ends(), 30, 5000), stationary, 1e-10);
}

TEST(GraphWeights, OfTheEigenvectorAreThoseOfTheDenseMatrix) {
  const auto [values, vectors] = at::linalg_eigh(adjacency());
  const Tensor leading = vectors.select(1, 29);
  expect_near(eigenvector_centrality(ends(), 30), leading * leading.sum().sign(), 1e-10);
  const Tensor star = at::tensor({0, 1, 0, 2, 1, 0, 2, 0}, at::kLong).view({2, 4});  // bipartite: +-sqrt 2
  expect_near(eigenvector_centrality(star, 3), at::tensor({std::sqrt(0.5), 0.5, 0.5}, at::kDouble), 1e-12);
}

TEST(GraphWeights, OfFeaturesAreSumsOverTheNodesThatHaveThemInBothLayouts) {
  const Tensor x = some_graph().data - 0.5 * (some_graph().data > 0.5), c = at::rand({30}, at::kDouble);
  const Tensor nodes = x.ne(0).to(at::kDouble).t().mv(c), magnitude = x.abs().to(at::kDouble).t().mv(c);
  for (const Tensor& features : {x, x.to_sparse_csr()}) {
    expect_near(feature_use(features, c, false), nodes, 1e-12);
    expect_near(feature_use(features, c, true), magnitude, 1e-12);
  }
}

TEST(GraphWeights, OfWhatNobodyHasAreTheLargestAndEqualOnesDropAlike) {
  const Tensor importance = log_importance(at::tensor({2.0, 0.0, 8.0, -1.0}, at::kDouble));
  expect_near(importance, at::tensor({2.0, 8.0, 8.0, 8.0}, at::kDouble).log(), 1e-15);
  expect_near(drop_probability(importance, 0.2, 1), at::tensor({0.8, 0.0, 0.0, 0.0}, at::kDouble), 1e-12);
  expect_near(drop_probability(importance, 0.2, 0.7), at::tensor({0.7, 0.0, 0.0, 0.0}, at::kDouble), 1e-12);
  expect_near(drop_probability(log_importance(at::full({3}, 5.0, at::kDouble)), 0.2, 0.7),
              at::full({3}, 0.2, at::kDouble), 1e-12);
  EXPECT_EQ(drop_probability(log_importance(at::zeros({0}, at::kDouble)), 0.2, 0.7).numel(), 0);
  expect_near(drop_probability(log_importance(at::zeros({2}, at::kDouble)), 0.2, 0.7),
              at::full({2}, 0.2, at::kDouble), 1e-12);
}

TEST(GraphWeights, OfCommunitiesAreTheirSharesOfTheModularity) {
  const Tensor community = at::randint(0, 4, {30}, at::make_generator<at::CPUGeneratorImpl>(2), at::kLong);
  const Tensor a = adjacency(), degrees = a.sum(1);
  const double twice = a.sum().item<double>();
  Tensor want = at::zeros({4}, at::kDouble);
  for (int64_t i = 0; i < 30; ++i)
    for (int64_t j = 0; j < 30; ++j)
      if (community[i].equal(community[j]))
        want[community[i].item<int64_t>()] += (a[i][j] - degrees[i] * degrees[j] / twice) / twice;
  const Tensor strength = community_strength(ends(), community);
  expect_near(strength, want, 1e-14);
  std::vector<double> worth;
  for (int64_t e = 0; e < 240; ++e) {
    const Tensor from = community[ends()[0][e].item<int64_t>()], to = community[ends()[1][e].item<int64_t>()];
    worth.push_back(from.equal(to)
                        ? strength[from.item<int64_t>()].item<double>()
                        : -(strength[from.item<int64_t>()] + strength[to.item<int64_t>()]).item<double>());
  }
  const Tensor raw = at::tensor(worth, at::kDouble);
  expect_near(edge_strength(ends(), community, strength), (raw - raw.min()) / (raw.max() - raw.min()), 1e-13);
}

TEST(GraphWeights, KeepAnEdgeByItsWorthBetweenTheThresholdAndOne) {
  const Tensor worth = at::tensor({0.0, 0.25, 0.5, 1.25}, at::kDouble);  // mean 0.5
  expect_near(keep_probability(worth, 0.4, 0.9), at::tensor({0.1, 0.3, 0.6, 1.0}, at::kDouble), 1e-15);
}

TEST(Communities, AreThePlantedOnesWithIsolatedNodesApartTheSameEveryTime) {
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(7);
  const Tensor order = at::randperm(42, generator, at::kLong);  // 40 nodes of four groups of ten, two alone
  std::vector<int64_t> from, to;
  for (int64_t a = 0; a < 40; ++a)
    for (int64_t b = 0; b < 40; ++b) {
      const double chance = a / 10 == b / 10 ? 0.9 : 0.02;
      if (at::rand({1}, generator, at::kFloat).item<double>() >= chance) continue;
      from.push_back(order[a].item<int64_t>());
      to.push_back(order[b].item<int64_t>());
    }
  const Tensor edges = at::stack({at::tensor(from, at::kLong), at::tensor(to, at::kLong)});
  const Tensor found = communities(edges, 42).index_select(0, order);
  EXPECT_EQ(std::get<0>(at::_unique(found)).numel(), 6);
  EXPECT_EQ(found.max().item<int64_t>(), 5);
  for (int64_t group = 0; group < 4; ++group)
    EXPECT_TRUE(found.slice(0, 10 * group, 10 * group + 10).eq(found[10 * group]).all().item<bool>())
        << group;
  EXPECT_FALSE(found[40].equal(found[41]));
  EXPECT_TRUE(communities(edges, 42).index_select(0, order).equal(found));
  EXPECT_TRUE(communities(at::zeros({2, 0}, at::kLong), 3).equal(at::arange(3)));
}
