// SPDX-License-Identifier: BSD-3-Clause
// What the tests of losses share: seeded unit embeddings, a step on one rank, and finite differences.
#pragma once

#include "ranks/world.h"

#include <foil/foil.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <functional>
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
  input.h = z;
  input.label = label;
  input.index = index.defined() ? index : torch::arange(z[0].size(0));
  input.ranks = World::single();
  return input;
}

inline double dot(const Tensor& a, const Tensor& b) { return (a * b).sum().item<double>(); }

// The gradient of `value` with respect to a few entries of every view against central differences.
inline void expect_gradient_by_differences(const std::vector<Tensor>& z,
                                           const std::function<Tensor(const std::vector<Tensor>&)>& value) {
  std::vector<Tensor> leaves;
  for (const Tensor& view : z) leaves.push_back(view.detach().clone().requires_grad_());
  value(leaves).backward();
  torch::NoGradGuard no_grad;
  const double step = 1e-6;
  for (size_t v = 0; v < z.size(); ++v) {
    for (const int64_t b : {int64_t{0}, z[v].size(0) - 1}) {
      const int64_t d = (b + static_cast<int64_t>(v)) % z[v].size(1);
      const auto moved = [&](double by) {
        std::vector<Tensor> copy;
        for (const Tensor& view : z) copy.push_back(view.detach().clone());
        copy[v][b][d] += by;
        return value(copy).item<double>();
      };
      const double difference = (moved(step) - moved(-step)) / (2 * step);
      EXPECT_NEAR(leaves[v].grad()[b][d].item<double>(), difference, 1e-7 * std::max(1.0, std::abs(difference)))
          << "view " << v << ", row " << b << ", column " << d;
    }
  }
}

// Value and gradients are finite for one sample, for equal embeddings, and for temperature 0.001 in fp32.
inline void expect_finite(Loss& loss, const LossInput& input) {
  LossInput step = input;
  std::vector<Tensor> leaves;
  for (Tensor& view : step.z) leaves.push_back(view = view.detach().clone().requires_grad_());
  const Tensor value = step.join(loss.forward(step));
  EXPECT_TRUE(value.isfinite().item<bool>()) << value;
  value.backward();
  for (const Tensor& leaf : leaves) EXPECT_TRUE(leaf.grad().isfinite().all().item<bool>()) << leaf.grad();
}

// The gradient of a loss of two views whose weights are held, on a first visit where they are a softmax: that of temperature times
// the decoupled loss, a log-sum-exp over the rows of other samples less the positive's similarity.
inline void expect_decoupled_gradient(Loss& loss, double temperature) {
  const auto decoupled = [&](const std::vector<Tensor>& z) {
    const Tensor rows = torch::cat(z), s = torch::matmul(rows, rows.t()) / temperature;
    const Tensor sample = torch::arange(5).repeat({2});
    const Tensor lse = masked_logsumexp(s, sample.unsqueeze(1) != sample.unsqueeze(0));
    return temperature * (lse.sum() / 5 - 2 * (z[0] * z[1]).sum() / (5 * temperature));
  };
  auto z = unit_views(2, 5, 4);
  for (Tensor& view : z) view.requires_grad_();
  const auto ours = torch::autograd::grad({loss.forward(input_of(z))}, z);
  const auto theirs = torch::autograd::grad({decoupled(z)}, z);
  for (size_t v = 0; v < 2; ++v) EXPECT_TRUE(torch::allclose(ours[v], theirs[v], 1e-12, 1e-14));
}

}  // namespace foil
