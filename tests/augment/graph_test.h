// SPDX-License-Identifier: BSD-3-Clause
// What the tests of augmentations of graphs share beside augment_test.h: random graphs, and the claims that
// each keeps. Not a test itself.
#pragma once

#include "augment_test.h"
#include "tests/support/graph_data.h"

#include <set>
#include <utility>

namespace foil::test {

// `edges` undirected edges between random nodes, none twice and none a loop, both directions of each.
// Features are 0 in two of three entries.
inline View random_graph(int64_t nodes, int64_t edges, int64_t features, uint64_t seed) {
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  std::set<std::pair<int64_t, int64_t>> pairs;
  while (std::ssize(pairs) < edges) {
    const Tensor pair = at::randint(0, nodes, {2}, generator, at::kLong);
    const int64_t a = pair[0].item<int64_t>(), b = pair[1].item<int64_t>();
    if (a != b) pairs.insert({std::min(a, b), std::max(a, b)});
  }
  std::vector<int64_t> from, to;
  for (const auto& [a, b] : pairs) {
    from.insert(from.end(), {a, b});
    to.insert(to.end(), {b, a});
  }
  const Tensor x = at::rand({nodes, features}, generator, at::kFloat);
  const Tensor ends = at::stack({at::tensor(from, at::kLong), at::tensor(to, at::kLong)});
  return graph(x.masked_fill(at::rand({nodes, features}, generator, at::kFloat) < 2.0 / 3, 0), ends);
}

// (from, to) of every edge, sorted.
inline std::vector<std::pair<int64_t, int64_t>> pairs_of(const Tensor& ends) {
  std::vector<std::pair<int64_t, int64_t>> pairs;
  for (int64_t e = 0; e < ends.size(1); ++e)
    pairs.emplace_back(ends[0][e].item<int64_t>(), ends[1][e].item<int64_t>());
  std::sort(pairs.begin(), pairs.end());
  return pairs;
}

// The dense matrix of the edges' weights: entry [to, from].
inline Tensor dense(const Edges& edges, int64_t nodes) {
  Tensor matrix = at::zeros({nodes, nodes}, at::kDouble);
  for (int64_t e = 0; e < edges.ends.size(1); ++e)
    matrix[edges.ends[1][e].item<int64_t>()][edges.ends[0][e].item<int64_t>()] +=
        edges.weight.defined() ? edges.weight[e].item<double>() : 1.0;
  return matrix;
}

// D^-1/2 (A + I) D^-1/2 of a graph without loops.
inline Tensor dense_norm(const Tensor& ends, int64_t nodes) {
  const Tensor a = dense({ends, {}, {}}, nodes) + at::eye(nodes, at::kDouble), scale = a.sum(1).rsqrt();
  return scale.unsqueeze(1) * a * scale;
}

// The view that was given is left alone, what is no data goes on, and evaluation changes nothing.
inline void expect_leaves_the_view_alone(Augmentation& augmentation, View view) {
  view.key = at::arange(view.size(), at::kLong) + 5;
  view.params = at::rand({view.size(), 2});
  const Tensor data = view.data.to_dense().clone(), ends = view.edges.ends.clone(),
               id = view.edges.id.clone();
  const View out = augmentation.apply(view, place(view.size()));
  EXPECT_TRUE(view.data.to_dense().equal(data));
  EXPECT_TRUE(view.edges.ends.equal(ends));
  EXPECT_TRUE(view.edges.id.equal(id));
  EXPECT_EQ(out.modality, view.modality);
  EXPECT_TRUE(out.key.equal(view.key));
  EXPECT_TRUE(out.params.slice(1, 0, 2).equal(view.params));
  const View seen = augmentation.evaluate(view);
  EXPECT_TRUE(seen.data.is_same(view.data));
  EXPECT_TRUE(seen.edges.ends.is_same(view.edges.ends));
  EXPECT_EQ(augmentation.evaluation_name(), "");
}

inline void expect_refuses_what_is_no_graph(Augmentation& augmentation, const std::string& name) {
  View view;
  view.data = at::zeros({2, 3, 4, 4});
  EXPECT_EQ(
      refusal([&] { augmentation.apply(view, place(2)); }),
      name +
          " got image Float [2, 3, 4, 4] without edges, allowed: a graph, features [nodes, F] of floats "
          "with edges.");
  EXPECT_EQ(refusal([&] {
              augmentation.shape_after({Kind::vector, {4}, 0});
            }),
            name + ": the data is vector, allowed: a graph.");
}

}  // namespace foil::test
