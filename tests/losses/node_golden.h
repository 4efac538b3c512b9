// SPDX-License-Identifier: BSD-3-Clause
// What the golden mappings of losses on the nodes of a graph share.
#pragma once

#include "ranks/world.h"
#include "tests/support/golden.h"

#include <torch/autograd.h>
#include <torch/types.h>

namespace foil::golden {

// Of all nodes of a graph on one rank.
inline LossInput nodes_input(const std::vector<Tensor>& z) {
  LossInput input;
  input.z = z;
  input.index = torch::arange(z[0].size(0));
  input.ranks = World::single();
  return input;
}

inline Tensor leaf(const Tensor& x) { return x.detach().clone().requires_grad_(); }

// "out.loss", and "grad.NAME" of these leaves by name.
inline Tensors graded(Loss& loss, const LossInput& input, const Tensors& leaves) {
  const Tensor value = loss(input);
  Tensors all{{"out.loss", value.detach()}};
  for (const auto& [name, x] : leaves) {
    const Tensor gradient = torch::autograd::grad({value}, {x}, {}, /*retain_graph=*/true, false, true)[0];
    all["grad." + name] = gradient.defined() ? gradient : torch::zeros_like(x);
  }
  return all;
}

}  // namespace foil::golden
