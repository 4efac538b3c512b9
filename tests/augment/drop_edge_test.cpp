// SPDX-License-Identifier: BSD-3-Clause
#include "augment/drop_edge.cpp"

#include "graph_test.h"

using namespace foil::test;

namespace {

// How often each edge is dropped in `steps` steps.
std::vector<int64_t> drops(DropEdge& drop, const foil::View& view, int64_t steps) {
  std::vector<int64_t> count(static_cast<size_t>(view.edges.ends.size(1)), steps);
  for (int64_t step = 0; step < steps; ++step) {
    const Tensor kept = drop.apply(view, place(at::arange(view.size()), 1, step)).edges.id;
    for (int64_t e = 0; e < kept.size(0); ++e) --count[static_cast<size_t>(kept[e].item<int64_t>())];
  }
  return count;
}

}  // namespace

TEST(DropEdge, KeepsAnEdgeByADrawOfItsPlaceInTheDataSet) {
  DropEdge drop({.probability = 0.3});
  foil::View view = random_graph(30, 80, 3, 1);
  view.edges.weight = at::rand({160});
  view.edges.id = view.edges.id * 7 + 3;
  const foil::AugmentContext context = place(30);
  const foil::View out = drop.apply(view, context);
  std::vector<int64_t> want;
  for (int64_t e = 0; e < 160; ++e)
    if (foil::Draws(context.key(), static_cast<uint64_t>(7 * e + 3)).uniform() >= 0.3f) want.push_back(e);
  const Tensor kept = at::tensor(want, at::kLong);
  EXPECT_TRUE(out.edges.ends.equal(view.edges.ends.index_select(1, kept)));
  EXPECT_TRUE(out.edges.weight.equal(view.edges.weight.index_select(0, kept)));
  EXPECT_TRUE(out.edges.id.equal(view.edges.id.index_select(0, kept)));
  EXPECT_TRUE(out.data.is_same(view.data));
}

TEST(DropEdge, DropsAsOftenAsItsProbabilityEachDirectionByItself) {
  const foil::View view = random_graph(300, 10000, 1, 2);
  for (const double p : {0.0, 0.1, 0.7, 1.0}) {
    DropEdge drop({.probability = p});
    const Tensor id = drop.apply(view, place(300)).edges.id;
    expect_frequency(20000 - id.size(0), 20000, p);
    const Tensor kept =
        at::zeros({20000}).index_fill_(0, id, 1).view({-1, 2}).sum(1);  // of the two directions
    expect_frequency((kept == 1).sum().item<int64_t>(), 10000, 2 * p * (1 - p));
  }
}

TEST(DropEdge, DependsOnTheEdgeAndEveryPartOfThePlace) {
  DropEdge drop({.probability = 0.5});
  const foil::View view = random_graph(20, 60, 2, 3);
  const auto kept = [&](const foil::View& of, const foil::AugmentContext& context) {
    return pairs_of(drop.apply(of, context).edges.ends);
  };
  const Tensor index = at::arange(20), order = at::randperm(120);
  const auto base = kept(view, place(index, 5, 6, 7, 8));
  foil::View other = view;
  other.edges = {view.edges.ends.index_select(1, order), {}, view.edges.id.index_select(0, order)};
  EXPECT_EQ(kept(other, place(index, 5, 6, 7, 8)), base) << "in another order";
  EXPECT_NE(kept(view, place(index, 6, 6, 7, 8)), base);
  EXPECT_NE(kept(view, place(index, 5, 7, 7, 8)), base);
  EXPECT_NE(kept(view, place(index, 5, 6, 8, 8)), base);
  EXPECT_NE(kept(view, place(index, 5, 6, 7, 9)), base);
  other.edges = {view.edges.ends, {}, {}};
  EXPECT_EQ(kept(other, place(index, 5, 6, 7, 8)), base) << "edges without ids have their places";
}

// GCA, equations 5 and 6, by its definition.
TEST(DropEdge, ByDegreeDropsWhatGoesToAHubLessOften) {
  const foil::View view = random_graph(12, 25, 3, 4);
  DropEdge drop({.probability = 0.4, .adaptive = Adaptive::degree, .threshold = 0.6});
  drop.setup(GraphData(view));
  std::vector<double> score;
  for (int64_t e = 0; e < 50; ++e)
    score.push_back(
        std::log((view.edges.ends[1] == view.edges.ends[1][e].item<int64_t>()).sum().item<double>()));
  double highest = score[0], mean = 0;
  for (const double s : score) {
    highest = std::max(highest, s);
    mean += s / 50;
  }
  const int64_t steps = 3000;
  const std::vector<int64_t> count = drops(drop, view, steps);
  for (size_t e = 0; e < 50; ++e)
    expect_frequency(count[e], steps, std::min(0.6, 0.4 * (highest - score[e]) / (highest - mean)));
}

TEST(DropEdge, ByPageRankAndEigenvectorHoldTheMeanBelowTheThreshold) {
  const foil::View view = random_graph(40, 150, 3, 5);
  for (const Adaptive by : {Adaptive::pagerank, Adaptive::eigenvector}) {
    DropEdge drop({.probability = 0.2, .adaptive = by, .threshold = 1});
    drop.setup(GraphData(view));
    int64_t all = 0;
    for (const int64_t count : drops(drop, view, 100)) all += count;
    EXPECT_NEAR(static_cast<double>(all) / 30000, 0.2, 0.015);
  }
}

// Two cliques of six and the edge that joins them, which is worth least.
TEST(DropEdge, ByCommunityDropsWhatJoinsCommunities) {
  std::vector<int64_t> from, to;
  for (int64_t a = 0; a < 12; ++a)
    for (int64_t b = 0; b < 12; ++b)
      if (a != b && (a / 6 == b / 6 || a + b == 11)) {
        if (a / 6 != b / 6 && a != 5 && b != 5) continue;
        from.push_back(a);
        to.push_back(b);
      }
  const Tensor ends = at::stack({at::tensor(from, at::kLong), at::tensor(to, at::kLong)});
  const foil::View view = graph(at::ones({12, 2}), ends);
  DropEdge drop({.probability = 0.1, .adaptive = Adaptive::community, .threshold = 0.8});
  drop.setup(GraphData(view));
  const std::vector<int64_t> count = drops(drop, view, 2000);
  // All within are worth 1, the two that join 0: kept by (1 - p) / mean, at most 1, and by 1 - threshold.
  const double mean = 60.0 / 62;
  for (size_t e = 0; e < count.size(); ++e)
    expect_frequency(count[e], 2000, from[e] / 6 == to[e] / 6 ? 1 - 0.9 / mean : 0.8);
}

TEST(DropEdge, LeavesTheViewAloneAndRefusesWhatDoesNotFit) {
  DropEdge drop({}), by_degree({.adaptive = Adaptive::degree});
  const foil::View view = random_graph(20, 40, 3, 6);
  expect_leaves_the_view_alone(drop, view);
  expect_refuses_what_is_no_graph(drop, "drop_edge");
  EXPECT_EQ(refusal([&] { by_degree.apply(view, place(20)); }, foil::Exit::failure),
            "drop_edge: setup() was not called.");
  by_degree.setup(GraphData(view));
  foil::View other = view;
  other.edges.id.reset();
  EXPECT_EQ(refusal([&] { by_degree.apply(other, place(20)); }),
            "adaptive = of a graph that another augmentation made, allowed: the data set's edges, \"no\" for "
            "others.");
}
