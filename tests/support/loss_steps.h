// SPDX-License-Identifier: BSD-3-Clause
// What the tests of losses share: seeded unit embeddings and a step on one rank. What holds for every loss,
// conformance tests.
#pragma once

#include "ranks/world.h"

#include <foil/foil.h>

#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/types.h>

#include <memory>
#include <vector>

namespace foil {

// V x [N, D], double, unit norm.
inline std::vector<Tensor> unit_views(int64_t views, int64_t n, int64_t d, uint64_t seed = 5) {
  torch::manual_seed(seed);
  std::vector<Tensor> z;
  for (int64_t v = 0; v < views; ++v) {
    const Tensor x = torch::randn({n, d}, torch::kDouble);
    z.push_back(x / x.norm(2, {1}, true));
  }
  return z;
}

// What a loss sees on one rank; index and labels count up unless given.
inline LossInput input_of(const std::vector<Tensor>& z, const Tensor& label = {}, const Tensor& index = {}) {
  LossInput input;
  input.z = z;
  input.label = label;
  input.index = index.defined() ? index : torch::arange(z[0].size(0));
  input.ranks = World::single();
  return input;
}

inline double dot(const Tensor& a, const Tensor& b) { return (a * b).sum().item<double>(); }

// The gradient of a loss of two views whose weights are held, on a first visit where they are a softmax: that
// of temperature times the decoupled loss, a log-sum-exp over the rows of other samples less the positive's
// similarity.
inline void expect_decoupled_gradient(Loss& loss, double temperature) {
  const auto decoupled = [&](const std::vector<Tensor>& z) {
    const Tensor rows = torch::cat(z), s = torch::matmul(rows, rows.t()) / temperature;
    const Tensor sample = torch::arange(5).repeat({2});
    const Tensor lse = masked_logsumexp(s, sample.unsqueeze(1) != sample.unsqueeze(0));
    return temperature * (lse.mean() - (z[0] * z[1]).sum() / (5 * temperature));
  };
  auto z = unit_views(2, 5, 4);
  for (Tensor& view : z) view.requires_grad_();
  const auto ours = torch::autograd::grad({loss.forward(input_of(z))}, z);
  const auto theirs = torch::autograd::grad({decoupled(z)}, z);
  for (size_t v = 0; v < 2; ++v) EXPECT_TRUE(torch::allclose(ours[v], theirs[v], 1e-12, 1e-14));
}

}  // namespace foil
