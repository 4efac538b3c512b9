// SPDX-License-Identifier: BSD-3-Clause
// What the losses share in which the samples of one modality are looked for by those of another: the cross
// entropy of a softmax over the batch, in both directions from one pass over all pairs.
#pragma once

#include <foil/contrast.h>
#include <foil/plugin.h>

namespace foil {

// Mean over anchors a of - sum over b of share(a,b) log softmax over b of scale <z_a, z_b>: of view 1 over
// view 2, and of view 2 over view 1; local means, as forward returns them. `target`: the mean of z_b by an
// anchor's shares, of each direction [B, D]; undefined: its own sample has all. With <z_a, own b - target>
// for the shares of others the softmax does not cancel where pairs are separated.
inline std::array<Tensor, 2> cross_entropies(const LossInput& input, const Tensor& scale,
                                             const std::array<Tensor, 2>& target) {
  const std::vector<Tensor> lse = contrast::reduce(contrast::between(input, 0, 1, scale),
                                                   {contrast::lse(), contrast::lse(contrast::Per::column)});
  const std::array<Tensor, 2> others{lse[0], contrast::all_rows(input, lse[1])};  // [B]
  const Tensor own = scale * (input.z[0] * input.z[1]).sum(1);                    // [B]
  std::array<Tensor, 2> loss;
  for (size_t v = 0; v < 2; ++v) {
    Tensor each = foil::softplus(others[v] - own);
    if (target[v].defined())
      each = each + scale * (input.z[v] * (input.z[1 - v] - target[v])).sum(1).to(each.scalar_type());
    loss[v] = input.mean(each);
  }
  return loss;
}

}  // namespace foil
