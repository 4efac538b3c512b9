// SPDX-License-Identifier: BSD-3-Clause
// The nodes of this rank in what every rank has of the whole graph.
#pragma once

#include <foil/plugin.h>

namespace foil {

// Of a tensor [nodes, ...] the rows of this rank's batch: [B, ...].
inline Tensor own_rows(const LossInput& input, const Tensor& whole) {
  const int64_t first = input.offset();
  return whole.slice(0, first, first + input.index.size(0));
}

// The features of this rank's nodes as the encoder saw them in view v: dense [B, F], in the type of `like`
// [B, F]. Throws Error (Exit::failure) where `like` is of another size: what a decoder gives.
inline Tensor own_features(const LossInput& input, size_t v, const Tensor& like) {
  const Tensor& data = input.views.at(v).data;
  const Tensor x = own_rows(input, data.layout() == at::kStrided ? data : data.to_dense());
  if (x.sizes() != like.sizes())
    fail(Exit::failure, "the decoder gives ", like.sizes(), " for nodes with features ", x.sizes(),
         ", allowed: the same sizes.");
  return x.to(like.options().requires_grad(false));
}

}  // namespace foil
