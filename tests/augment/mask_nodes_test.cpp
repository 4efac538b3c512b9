// SPDX-License-Identifier: BSD-3-Clause
#include "augment/mask_nodes.cpp"

#include "graph_test.h"

using namespace foil::test;

namespace {

// Every node has features that no other has.
foil::View distinct(int64_t nodes) {
  return graph(at::arange(1, 2 * nodes + 1, at::kFloat).view({nodes, 2}), at::zeros({2, 0}, at::kLong));
}

}  // namespace

TEST(MaskNodes, HidesReplacesAndKeepsAsManyAsPublished) {
  MaskNodes mask({.fraction = 0.75, .replaced = 0.3});
  const foil::View view = distinct(26);  // 19 masked: 13 hidden, 5 replaced, 1 as it was
  const foil::View out = mask.apply(view, place(26));
  ASSERT_EQ(out.params.sizes(), (std::vector<int64_t>{26, 1}));
  std::vector<int64_t> count(4);
  std::set<float> given;
  for (int64_t v = 0; v < 26; ++v) {
    const int64_t what = out.params[v][0].item<int64_t>();
    ++count[static_cast<size_t>(what)];
    const float first = out.data[v][0].item<float>(), second = out.data[v][1].item<float>();
    if (what == 1) {
      EXPECT_EQ(std::max(first, second), 0);
    } else if (what == 2) {
      EXPECT_EQ(second, first + 1);
      given.insert(first);
    } else {
      EXPECT_TRUE(out.data[v].equal(view.data[v]));
    }
  }
  EXPECT_EQ(count, (std::vector<int64_t>{7, 13, 5, 1}));
  EXPECT_EQ(given.size(), 5u) << "each gets the features of another node";
}

TEST(MaskNodes, TakesEveryNodeAsOftenAndAnewForEveryPlace) {
  MaskNodes mask({.fraction = 0.4, .replaced = 0.25});
  const foil::View view = distinct(10);  // 4 masked: 3 hidden, 1 replaced
  Tensor hidden = at::zeros({10}), replaced = at::zeros({10}), source = at::zeros({10});
  for (int64_t step = 0; step < 3000; ++step) {
    const foil::View out = mask.apply(view, place(at::arange(10), 1, step));
    hidden += out.params.select(1, 0) == 1;
    replaced += out.params.select(1, 0) == 2;
    const Tensor from = (out.data.select(1, 0) - 1) / 2;
    source.index_add_(0, from.masked_select(out.params.select(1, 0) == 2).to(at::kLong), at::ones({1}));
  }
  for (int64_t v = 0; v < 10; ++v) {
    expect_frequency(hidden[v].item<int64_t>(), 3000, 0.3);
    expect_frequency(replaced[v].item<int64_t>(), 3000, 0.1);
    expect_frequency(source[v].item<int64_t>(), 3000, 0.1);
  }
  const auto masked = [&](const foil::AugmentContext& context) { return mask.apply(view, context).params; };
  const Tensor index = at::arange(10), base = masked(place(index, 5, 6, 7, 8));
  EXPECT_TRUE(masked(place(index, 5, 6, 7, 8)).equal(base));
  EXPECT_FALSE(masked(place(index, 6, 6, 7, 8)).equal(base));
  EXPECT_FALSE(masked(place(index, 5, 7, 7, 8)).equal(base));
  EXPECT_FALSE(masked(place(index, 5, 6, 8, 8)).equal(base));
  EXPECT_FALSE(masked(place(index, 5, 6, 7, 9)).equal(base));
  EXPECT_TRUE(masked(place(index.flip(0), 5, 6, 7, 8)).equal(base.flip(0))) << "by the node, not its place";
}

TEST(MaskNodes, KeepsFeaturesInCsrLayout) {
  MaskNodes mask({.fraction = 0.6, .replaced = 0.4});
  foil::View view = random_graph(20, 30, 9, 1);
  const foil::View dense = mask.apply(view, place(20));
  view.data = view.data.to_sparse_csr();
  const foil::View sparse = mask.apply(view, place(20));
  EXPECT_EQ(sparse.data.layout(), at::kSparseCsr);
  EXPECT_TRUE(sparse.data.to_dense().equal(dense.data));
  EXPECT_TRUE(sparse.params.equal(dense.params));
}

TEST(MaskNodes, MasksNoneOrAll) {
  const foil::View view = distinct(5);
  EXPECT_TRUE(MaskNodes({.fraction = 0}).apply(view, place(5)).data.equal(view.data));
  EXPECT_EQ(MaskNodes({.fraction = 1}).apply(view, place(5)).data.abs().sum().item<float>(), 0);
  const foil::View all = MaskNodes({.fraction = 1, .replaced = 1}).apply(view, place(5));
  EXPECT_TRUE(std::get<0>(all.data.sort(0)).equal(view.data)) << "a permutation";
}

TEST(MaskNodes, LeavesTheViewAloneAndRefusesWhatIsNoGraph) {
  MaskNodes mask({});
  expect_leaves_the_view_alone(mask, random_graph(20, 40, 3, 6));
  expect_refuses_what_is_no_graph(mask, "mask_nodes");
}
