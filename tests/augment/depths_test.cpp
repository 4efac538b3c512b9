// SPDX-License-Identifier: BSD-3-Clause
#include "augment/depths.cpp"

#include "graph_test.h"

using namespace foil::test;

TEST(Depths, AreOfAllNodesAndBehindWhatWasHandedOn) {
  Depths depths({.below = {3, 5}});
  foil::View view = random_graph(9, 12, 3, 1);
  const Tensor drawn = depths.apply(view, place(9)).params;
  ASSERT_EQ(drawn.sizes(), (std::vector<int64_t>{9, 2}));
  EXPECT_TRUE(drawn.equal(drawn[0].expand({9, 2})));
  view.params = at::rand({9, 1});
  const Tensor both = depths.apply(view, place(9)).params;
  EXPECT_TRUE(both.slice(1, 0, 1).equal(view.params));
  EXPECT_TRUE(both.slice(1, 1).to(at::kLong).equal(drawn));
}

TEST(Depths, AreEachAsLikelyWhateverTheOthers) {
  Depths depths({.below = {2, 3}});
  const foil::View view = random_graph(4, 4, 1, 1);
  Tensor count = at::zeros({2, 3}, at::kLong);
  for (int64_t step = 0; step < 6000; ++step) {
    const Tensor drawn = depths.apply(view, place(at::arange(4), 1, step)).params[0];
    count[drawn[0].item<int64_t>()][drawn[1].item<int64_t>()] += 1;
  }
  for (int64_t a = 0; a < 2; ++a)
    for (int64_t b = 0; b < 3; ++b) expect_frequency(count[a][b].item<int64_t>(), 6000, 1.0 / 6);
}

TEST(Depths, AreDrawnAnewForEveryPlace) {
  Depths depths({.below = std::vector<int64_t>(20, 100)});
  const foil::View view = random_graph(4, 4, 1, 1);
  const auto drawn = [&](const foil::AugmentContext& context) { return depths.apply(view, context).params; };
  const Tensor index = at::arange(4), base = drawn(place(index, 5, 6, 7, 8));
  EXPECT_TRUE(drawn(place(index, 5, 6, 7, 8)).equal(base));
  EXPECT_FALSE(drawn(place(index, 6, 6, 7, 8)).equal(base));
  EXPECT_FALSE(drawn(place(index, 5, 7, 7, 8)).equal(base));
  EXPECT_FALSE(drawn(place(index, 5, 6, 8, 8)).equal(base));
  EXPECT_FALSE(drawn(place(index, 5, 6, 7, 9)).equal(base));
}

TEST(Depths, LeaveTheViewAloneAndRefuseWhatDoesNotFit) {
  Depths depths({});
  expect_leaves_the_view_alone(depths, random_graph(20, 40, 3, 6));
  expect_refuses_what_is_no_graph(depths, "depths");
  EXPECT_EQ(refusal([] { Depths({.below = {}}); }),
            "below = [], allowed: a list of one or more, one for each layer.");
}
