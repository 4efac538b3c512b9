// SPDX-License-Identifier: BSD-3-Clause
// The synthetic graph: reproducible, with the neighbours and features that its options say.
#include "data/synthetic_graph.h"

#include "tests/support/error_of.h"

#include <gtest/gtest.h>
#include <torch/types.h>

namespace foil {
namespace {

SyntheticGraph::Options small() {
  return {
      .nodes = 400, .classes = 4, .features = 16, .labelled = 5, .validation_nodes = 30, .test_nodes = 50};
}

View whole(const SyntheticGraph& graph) { return graph.read(Split::train, torch::arange(1)).at(0); }

TEST(SyntheticGraph, IsAFunctionOfItsOptions) {
  const SyntheticGraph first(small()), again(small());
  SyntheticGraph::Options options = small();
  options.seed = 1;
  const SyntheticGraph other(options);
  EXPECT_TRUE(whole(first).data.equal(whole(again).data));
  EXPECT_TRUE(whole(first).edges.ends.equal(whole(again).edges.ends));
  EXPECT_FALSE(whole(first).data.equal(whole(other).data));
  EXPECT_EQ(first.identity(), again.identity());
  EXPECT_NE(first.identity(), other.identity());
}

TEST(SyntheticGraph, HasSplitsOfNodesAndLabelsOfFewOfThem) {
  const SyntheticGraph graph(small());
  EXPECT_TRUE(graph.nodes(Split::train).equal(torch::arange(400)));
  EXPECT_TRUE(graph.nodes(Split::validation).equal(torch::arange(20, 50)));
  EXPECT_TRUE(graph.nodes(Split::test).equal(torch::arange(50, 100)));
  EXPECT_TRUE(graph.node_labels().equal(torch::arange(400).remainder(4)));
  EXPECT_TRUE(graph.labels(Split::train).slice(0, 0, 20).bincount().equal(torch::full({4}, 5)));
  EXPECT_TRUE(graph.labels(Split::train).slice(0, 20).eq(-1).all().item<bool>());
  EXPECT_TRUE(graph.labels(Split::test).equal(torch::arange(50, 100).remainder(4)));
  EXPECT_EQ(test::error_of([] { SyntheticGraph({.nodes = 599, .classes = 5, .test_nodes = 500}); }),
            "2 nodes = 599, allowed: at least 600, those with a label, of validation and of test.");
  EXPECT_EQ(test::error_of([] { SyntheticGraph({.nodes = 4, .labelled = 0, .test_nodes = 0}); }),
            "2 classes = 5, allowed: at most nodes = 4.");
  EXPECT_EQ(test::error_of([] { SyntheticGraph({.degree = 0}); }), "5 synthetic_graph: holds no edge.");
}

TEST(SyntheticGraph, HasUndirectedEdgesMostlyWithinAClass) {
  SyntheticGraph::Options options = small();
  options.nodes = 4000;
  const View view = whole(SyntheticGraph(options));
  const Tensor from = view.edges.ends[0], to = view.edges.ends[1];
  const int64_t edges = from.size(0);
  EXPECT_NEAR(static_cast<double>(edges) / 4000, 6, 0.2);
  EXPECT_FALSE((from == to).any().item<bool>());
  const Tensor there = std::get<0>((from * 4000 + to).sort()), back = std::get<0>((to * 4000 + from).sort());
  EXPECT_TRUE(there.equal(back));
  EXPECT_FALSE((there.slice(0, 1) == there.slice(0, 0, -1)).any().item<bool>()) << "each once";
  EXPECT_TRUE(view.edges.id.equal(torch::arange(edges)));
  const double alike = (from % 4 == to % 4).to(torch::kDouble).mean().item<double>();
  EXPECT_NEAR(alike, 0.8 + 0.2 / 4, 0.02);
}

TEST(SyntheticGraph, HasFeaturesAroundTheMeanOfTheClass) {
  SyntheticGraph::Options options = small();
  options.nodes = 4000;
  const Tensor x = whole(SyntheticGraph(options)).data, of_class = torch::arange(4000).remainder(4) == 2;
  const Tensor mine = x.index_select(0, of_class.nonzero().squeeze(1));
  EXPECT_NEAR((mine - mine.mean(0)).square().mean().item<double>(), 1, 0.05);
  EXPECT_GT((mine.mean(0) - x.mean(0)).norm().item<double>(), 1);
}

}  // namespace
}  // namespace foil
