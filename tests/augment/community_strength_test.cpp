// SPDX-License-Identifier: BSD-3-Clause
#include "augment/community_strength.cpp"

#include "graph_test.h"

using namespace foil::test;

// A clique of eight, one of three, and a node alone.
TEST(CommunityStrength, HandsOnTheShareOfTheModularityOfEachNodesCommunity) {
  std::vector<int64_t> from, to;
  for (int64_t a = 0; a < 11; ++a)
    for (int64_t b = 0; b < 11; ++b)
      if (a != b && (a < 8) == (b < 8)) {
        from.push_back(a);
        to.push_back(b);
      }
  from.insert(from.end(), {7, 8});  // joins them
  to.insert(to.end(), {8, 7});
  foil::View view =
      graph(at::ones({12, 2}), at::stack({at::tensor(from, at::kLong), at::tensor(to, at::kLong)}));
  view.params = at::full({12, 1}, 9.0);
  CommunityStrength strength({});
  strength.setup(GraphData(view));
  const foil::View out = strength.apply(view, place(12));
  const double large = 56.0 / 64 - std::pow(57.0 / 64, 2), small = 6.0 / 64 - std::pow(7.0 / 64, 2);
  ASSERT_EQ(out.params.sizes(), (std::vector<int64_t>{12, 2}));
  for (int64_t v = 0; v < 12; ++v) {
    EXPECT_EQ(out.params[v][0].item<double>(), 9);
    EXPECT_NEAR(out.params[v][1].item<double>(), v < 8 ? large : v < 11 ? small : 0, 1e-7) << v;
  }
}

TEST(CommunityStrength, LeavesTheViewAloneAndRefusesWhatDoesNotFit) {
  CommunityStrength strength({});
  const foil::View view = random_graph(20, 40, 3, 6);
  EXPECT_EQ(refusal([&] { strength.apply(view, place(20)); }, foil::Exit::failure),
            "community_strength: setup() was not called.");
  strength.setup(GraphData(view));
  expect_leaves_the_view_alone(strength, view);
  expect_refuses_what_is_no_graph(strength, "community_strength");
  EXPECT_EQ(refusal([&] { strength.apply(random_graph(21, 40, 3, 6), place(21)); }),
            "community_strength got [21, 3], allowed: the 20 nodes of the data set.");
}
