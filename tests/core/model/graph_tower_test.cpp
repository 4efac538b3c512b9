// SPDX-License-Identifier: BSD-3-Clause
// A tower of graphs encodes view by view and keeps its batch statistics to itself; what an encoder decodes is
// handed out like h.
#include "model/tower.h"

#include <foil/batch_norm.h>

#include <gtest/gtest.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

namespace foil {
namespace {

HeadOptions no_head() { return {.kind = HeadOptions::Kind::none}; }

// Nodes through a linear layer; what it decodes is twice h, or nothing.
struct OfNodes : Encoder {
  explicit OfNodes(bool decodes) : decodes(decodes) {
    layer = register_module("layer", torch::nn::Linear(3, 4));
  }
  void setup(const EncoderSizes&) override {}
  Features forward(const View& view) override {
    batches.push_back(view);
    const Tensor h = layer->forward(view.data);
    return {h, {}, {}, decodes ? 2 * h : Tensor()};
  }
  int64_t feature_dim() const override { return 4; }
  bool decodes;
  torch::nn::Linear layer{nullptr};
  Views batches;
};

View graph_view() {
  View view;
  view.modality = "graph";
  view.kind = Kind::graph;
  view.data = torch::randn({5, 3});
  view.edges.ends = torch::tensor({{0, 1}, {1, 4}}, torch::kLong);
  return view;
}

TEST(Tower, EncodesGraphsOneByOne) {
  const auto encoder = std::make_shared<OfNodes>(false);
  Tower tower(encoder, no_head(), {}, Kind::graph);
  const Views views = {graph_view(), graph_view()};
  const Tower::Output out = tower.forward(views);
  ASSERT_EQ(encoder->batches.size(), 2u);
  for (size_t v = 0; v < 2; ++v) {
    EXPECT_TRUE(encoder->batches[v].edges.ends.is_same(views[v].edges.ends));
    EXPECT_TRUE(torch::equal(out.h[v], encoder->layer->forward(views[v].data)));
  }
  EXPECT_TRUE(out.decoded.empty());
}

TEST(Tower, HandsOutWhatTheEncoderDecodes) {
  Tower tower(std::make_shared<OfNodes>(true), no_head(), {});
  const auto of = [](int64_t rows) {
    return View{"vector", Kind::vector, torch::randn({rows, 3}), {}, {}, {}, {}};
  };
  const Tower::Output out = tower.forward({of(5), of(2)});
  ASSERT_EQ(out.decoded.size(), 2u);
  for (size_t v = 0; v < 2; ++v) EXPECT_TRUE(torch::equal(out.decoded[v], 2 * out.h[v]));
}

TEST(EncoderSizes, OfANodeAreItsFeatures) {
  const EncoderSizes sizes = encoder_sizes({Kind::graph, {7}, 0});
  EXPECT_EQ(sizes.kind, Kind::graph);
  EXPECT_EQ(sizes.channels, 7);
  EXPECT_EQ(sizes.height, 0);
}

// Of two ranks, the other of which would never answer.
struct Silent final : Ranks {
  int64_t rank() const override { return 0; }
  int64_t world_size() const override { return 2; }
  Tensor gather(const Tensor&) override { fail(Exit::failure, "a collective"); }
  Tensor sum(const Tensor&) override { fail(Exit::failure, "a collective"); }
  std::vector<int64_t> counts(int64_t) override { fail(Exit::failure, "a collective"); }
};

TEST(Tower, OfGraphsHidesItsBatchNormFromTheRanks) {
  const auto ranks = std::make_shared<Silent>();
  for (const Kind kind : {Kind::vector, Kind::graph}) {
    Tower tower(std::make_shared<OfNodes>(false), HeadOptions{.dims = {4, 2}}, {}, kind);
    share_ranks(tower, ranks);
    if (kind == Kind::graph) {
      EXPECT_EQ(tower.forward({graph_view()}).z[0].sizes(), (std::vector<int64_t>{5, 2}));
    } else {
      EXPECT_THROW(tower.forward({graph_view()}), Error);
    }
  }
}

}  // namespace
}  // namespace foil
