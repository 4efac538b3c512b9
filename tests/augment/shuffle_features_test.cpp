// SPDX-License-Identifier: BSD-3-Clause
#include "augment/shuffle_features.cpp"

#include "graph_test.h"

using foil::Tensor;
using namespace foil::test;

TEST(ShuffleFeatures, GivesEachNodeTheFeaturesOfOneOverTheSameEdges) {
  ShuffleFeatures shuffle({});
  foil::View view = random_graph(200, 300, 3, 1);
  view.data = at::arange(200, at::kFloat).unsqueeze(1);
  const foil::View out = shuffle.apply(view, place(200));
  EXPECT_TRUE(std::get<0>(out.data.sort(0)).equal(view.data));
  EXPECT_TRUE(out.edges.ends.is_same(view.edges.ends));
  const Tensor index = at::arange(200);
  const auto shuffled = [&](const foil::AugmentContext& context) {
    return shuffle.apply(view, context).data;
  };
  const Tensor base = shuffled(place(index, 5, 6, 7, 8));
  EXPECT_TRUE(shuffled(place(index, 5, 6, 7, 8)).equal(base));
  EXPECT_FALSE(shuffled(place(index, 6, 6, 7, 8)).equal(base));
  EXPECT_FALSE(shuffled(place(index, 5, 7, 7, 8)).equal(base));
  EXPECT_FALSE(shuffled(place(index, 5, 6, 8, 8)).equal(base));
  EXPECT_FALSE(shuffled(place(index, 5, 6, 7, 9)).equal(base));
}

TEST(ShuffleFeatures, DrawsEveryOrderAsOften) {
  ShuffleFeatures shuffle({});
  const foil::View view = graph(at::arange(3, at::kFloat).unsqueeze(1), at::zeros({2, 0}, at::kLong));
  std::map<int64_t, int64_t> count;
  for (int64_t step = 0; step < 6000; ++step) {
    const Tensor x = shuffle.apply(view, place(at::arange(3), 1, step)).data;
    ++count[100 * x[0].item<int64_t>() + 10 * x[1].item<int64_t>() + x[2].item<int64_t>()];
  }
  EXPECT_EQ(count.size(), 6u);
  for (const auto& [order, times] : count) expect_frequency(times, 6000, 1.0 / 6);
}

TEST(ShuffleFeatures, KeepsFeaturesInCsrLayout) {
  ShuffleFeatures shuffle({});
  foil::View view = random_graph(20, 30, 9, 1);
  const Tensor want = shuffle.apply(view, place(20)).data;
  view.data = view.data.to_sparse_csr();
  const Tensor sparse = shuffle.apply(view, place(20)).data;
  EXPECT_EQ(sparse.layout(), at::kSparseCsr);
  EXPECT_TRUE(sparse.to_dense().equal(want));
}

TEST(ShuffleFeatures, LeavesTheViewAloneAndRefusesWhatIsNoGraph) {
  ShuffleFeatures shuffle({});
  expect_leaves_the_view_alone(shuffle, random_graph(20, 40, 3, 6));
  expect_refuses_what_is_no_graph(shuffle, "shuffle_features");
}
