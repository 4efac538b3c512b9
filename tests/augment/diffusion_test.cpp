// SPDX-License-Identifier: BSD-3-Clause
#include "augment/diffusion.cpp"

#include "graph_test.h"

#include <ATen/ops/linalg_inv.h>

using namespace foil::test;

namespace {

// More nodes than one block of columns.
const foil::View& some_graph() {
  static const foil::View view = [] {
    foil::View made = random_graph(300, 700, 2, 1);
    made.data = made.data.to(at::kDouble);
    return made;
  }();
  return view;
}

foil::Edges edges_of(Diffusion::Options options) {
  Diffusion diffusion(options);
  diffusion.setup(GraphData(some_graph()));
  return diffusion.apply(some_graph(), place(300)).edges;
}

}  // namespace

TEST(Diffusion, OfPprIsTheDenseInverseNormalisedAnew) {
  const Tensor t = dense_norm(some_graph().edges.ends, 300);
  Tensor s = 0.15 * at::linalg_inv(at::eye(300, at::kDouble) - 0.85 * t);
  s.masked_fill_(s < 0.002, 0);
  const Tensor scale = s.sum(1).rsqrt();
  const foil::Edges got = edges_of({.kind = Diffused::ppr, .alpha = 0.15, .epsilon = 0.002});
  EXPECT_LT(got.ends.size(1), 300 * 300);
  expect_near(dense(got, 300), scale.unsqueeze(1) * s * scale, 1e-11);
}

TEST(Diffusion, OfMarkovIsTheSumOfDensePowers) {
  const Tensor t = dense_norm(some_graph().edges.ends, 300);
  Tensor s = t.clone(), power = t;
  for (int64_t k = 1; k <= 5; ++k) {
    power = power.matmul(t);
    s += std::pow(0.9, k) * power;
  }
  s = s / 5 + 0.1 * t;
  s.masked_fill_(s < 0.001, 0);
  expect_near(dense(edges_of({.kind = Diffused::markov, .alpha = 0.1, .epsilon = 0.001, .steps = 5}), 300), s,
              1e-13);
}

TEST(Diffusion, HasEdgesWithoutIdsInTheTypeOfTheFeatures) {
  Diffusion diffusion({});
  foil::View view = random_graph(20, 40, 3, 2);
  diffusion.setup(GraphData(view));
  const foil::View out = diffusion.apply(view, place(20));
  EXPECT_FALSE(out.edges.id.defined());
  EXPECT_EQ(out.edges.weight.scalar_type(), at::kFloat);
  EXPECT_TRUE(out.data.is_same(view.data));
  EXPECT_TRUE(diffusion.apply(view, place(at::arange(20), 9, 8, 7, 6)).edges.ends.equal(out.edges.ends));
}

TEST(Diffusion, LeavesTheViewAloneAndRefusesWhatDoesNotFit) {
  Diffusion diffusion({});
  const foil::View view = random_graph(20, 40, 3, 6);
  EXPECT_EQ(refusal([&] { diffusion.apply(view, place(20)); }, foil::Exit::failure),
            "diffusion: setup() was not called.");
  diffusion.setup(GraphData(view));
  expect_leaves_the_view_alone(diffusion, view);
  expect_refuses_what_is_no_graph(diffusion, "diffusion");
  EXPECT_EQ(refusal([&] { diffusion.apply(random_graph(21, 40, 3, 6), place(21)); }),
            "diffusion got [21, 3], allowed: the 20 nodes of the data set.");
}
