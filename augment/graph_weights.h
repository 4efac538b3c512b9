// SPDX-License-Identifier: BSD-3-Clause
// How important the nodes, edges and features of a graph are, and how likely each is to be dropped for it:
// the centralities of GCA (Zhu et al., "Graph contrastive learning with adaptive augmentation", WWW 2021) and
// the community strength of CSGCL (Chen et al., "CSGCL: community-strength-enhanced graph contrastive
// learning", IJCAI 2023). All in fp64 on the CPU.
#pragma once

#include <foil/plugin.h>

#include <torch/types.h>

#include <algorithm>
#include <cmath>

namespace foil::augment {

// The edges in both directions, each pair of ends once: int64 [2, E'], in the order of (from, to).
inline Tensor undirected(const Tensor& ends, int64_t nodes) {
  const Tensor from = at::cat({ends[0], ends[1]}), to = at::cat({ends[1], ends[0]});
  const Tensor code = std::get<0>(at::_unique(from * nodes + to));
  return at::stack({code.floor_divide(nodes), code.remainder(nodes)});
}

// How many edges each node has, whichever their directions: [nodes].
inline Tensor degree(const Tensor& ends, int64_t nodes) {
  return at::bincount(undirected(ends, nodes)[1], {}, nodes).to(at::kDouble);
}

// GCA's PageRank: from 1 everywhere, so often  x_v <- (1 - damping) x_v + damping sum_{u -> v} x_u / out_u.
// Differs from PageRank, which keeps a share of a constant instead of x: without end it is the stationary
// distribution of a random walk. The published code takes 200 steps for edges and 10 for features.
inline Tensor pagerank(const Tensor& ends, int64_t nodes, int64_t steps, double damping = 0.85) {
  const Tensor share = at::bincount(ends[0], {}, nodes)
                           .to(at::kDouble)
                           .clamp_min(1)
                           .reciprocal();  // of those without: not read
  Tensor x = at::ones({nodes}, at::kDouble);
  for (int64_t i = 0; i < steps; ++i) {
    const Tensor sent = (x * share).index_select(0, ends[0]);
    x = (1 - damping) * x + damping * at::zeros_like(x).index_add_(0, ends[1], sent);
  }
  return x;
}

// The eigenvector of the largest eigenvalue of the adjacency matrix, x_v = 1/lambda sum_{u -> v} x_u, of unit
// norm and not negative, by power iteration on A + I, whose other eigenvalues are smaller in modulus on any
// undirected graph. Of a graph whose parts share that eigenvalue, the one to which equal nodes lead.
inline Tensor eigenvector_centrality(const Tensor& ends, int64_t nodes) {
  Tensor x = at::full({nodes}, 1 / std::sqrt(static_cast<double>(std::max<int64_t>(nodes, 1))), at::kDouble);
  for (int64_t i = 0; i < 20000; ++i) {
    Tensor next = x.index_add(0, ends[1], x.index_select(0, ends[0]));
    next /= next.norm().clamp_min(1e-300);
    const double moved = (next - x).abs().max().item<double>();
    x = next;
    if (moved < 1e-14) break;
  }
  return x;
}

// How much a feature is used by nodes that matter, [F]: the sum of `centrality` over the nodes that have it
// (x not 0), or by `magnitude` of |x| times it. x [nodes, F], dense or in CSR layout.
inline Tensor feature_use(const Tensor& x, const Tensor& centrality, bool magnitude) {
  const auto used = [&](const Tensor& values) {
    return magnitude ? values.to(at::kDouble).abs() : values.ne(0).to(at::kDouble);
  };
  if (x.layout() != at::kSparseCsr) return used(x).t().mv(centrality);
  const Tensor length = x.crow_indices().to(at::kLong).diff();
  return at::zeros({x.size(1)}, at::kDouble)
      .index_add_(0, x.col_indices().to(at::kLong), used(x.values()) * centrality.repeat_interleave(length));
}

// The logarithm of what must be positive for it: what is not (a feature that no node has, or whose nodes
// together have no strength) counts as the largest, and is kept.
inline Tensor log_importance(const Tensor& importance) {
  const Tensor positive = importance > 0;
  if (!positive.any().item<bool>()) return at::zeros_like(importance);
  return at::where(positive, importance, importance.max()).log();
}

// How often to drop what is so important, on average `probability` and never above `threshold`; all alike
// where all are equally important: GCA, equations 6 and 8,
//   min(p (s_max - s) / (s_max - s_mean), threshold)
// which is also CSGCL's, where s is scaled to [0, 1] in between.
inline Tensor drop_probability(const Tensor& importance, double probability, double threshold) {
  if (importance.numel() == 0) return importance;
  const Tensor below = importance.max() - importance, mean = below.mean();
  const Tensor weight = mean.item<double>() > 0 ? below / mean : at::ones_like(below);
  return (weight * probability).clamp_max(threshold);
}

// CSGCL, equation 1: of each of the communities 0, 1, ... its share of the modularity,
//   S_k = in_k / L - (deg_k / 2L)^2
// of L edges, in_k of them within it, deg_k the sum of its nodes' degrees. `community`: int64 [nodes].
inline Tensor community_strength(const Tensor& ends, const Tensor& community) {
  const Tensor both = undirected(ends, community.size(0));
  const int64_t communities = community.numel() == 0 ? 0 : community.max().item<int64_t>() + 1;
  const Tensor from = community.index_select(0, both[0]), to = community.index_select(0, both[1]);
  const double twice_edges = static_cast<double>(std::max<int64_t>(both.size(1), 1));
  const Tensor within = at::bincount(from.masked_select(from == to), {}, communities).to(at::kDouble);
  const Tensor share = at::bincount(from, {}, communities).to(at::kDouble) / twice_edges;
  return within / twice_edges - share * share;
}

// CSGCL, equation 4: an edge within a community is worth the community's strength, one between two less
// than nothing, the sum of theirs; scaled to [0, 1] over all edges. [E]
inline Tensor edge_strength(const Tensor& ends, const Tensor& community, const Tensor& strength) {
  const Tensor from = community.index_select(0, ends[0]), to = community.index_select(0, ends[1]);
  const Tensor a = strength.index_select(0, from), b = strength.index_select(0, to);
  const Tensor worth = at::where(from == to, a, -(a + b));
  if (worth.numel() == 0) return worth;
  const Tensor low = worth.min(), width = worth.max() - low;
  return width.item<double>() > 0 ? (worth - low) / width : at::ones_like(worth);
}

// CSGCL's community-strength-enhanced edge dropping: how often to keep an edge that is worth `worth`, on
// average 1 - probability, at least 1 - threshold,
//   min(max(w / w_mean (1 - p), 1 - threshold), 1)
inline Tensor keep_probability(const Tensor& worth, double probability, double threshold) {
  if (worth.numel() == 0) return worth;
  return (worth / worth.mean() * (1 - probability)).clamp(1 - threshold, 1);
}

}  // namespace foil::augment
