// SPDX-License-Identifier: BSD-3-Clause
// What the losses share in which the samples of one modality are looked for by those of another: the cross
// entropy of a softmax over the batch.
#pragma once

#include <foil/plugin.h>

namespace foil {

// Mean over anchors a of view `from` of - sum over b of share(a,b) log softmax over b of scale <z_a, z_b>, b
// of view `to`: a local mean, as forward returns it. `weight`: [B, N], not negative and not all 0 in a row,
// whose shares of the row's sum are the targets. The softmax is taken in fp64, where the plain form keeps
// what well separated pairs still have to learn.
inline Tensor cross_entropy(const LossInput& input, size_t from, int64_t to, const Tensor& scale,
                            const Tensor& weight) {
  const Tensor logits = torch::matmul(scale * input.z[from], input.everyone(to).t());  // [B, N]
  const Tensor share = (weight / weight.sum(1, /*keepdim=*/true)).to(torch::kDouble);  // [B, N]
  const Tensor each = -(share * logits.to(torch::kDouble).log_softmax(1)).sum(1);      // [B]
  return input.mean(each).to(logits.scalar_type());
}

}  // namespace foil
