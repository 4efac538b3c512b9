// SPDX-License-Identifier: BSD-3-Clause
#include "evaluate/principal_plane.h"

#include "evaluate/checks.h"

#include <torch/types.h>

#include <algorithm>

namespace foil {

PrincipalPlane principal_plane(const Tensor& rows) {
  const torch::NoGradGuard no_grad;
  check_embeddings("principal plane", rows);
  const Tensor wide = rows.to(torch::kDouble), centred = wide - wide.mean(0, true);
  const auto [variance, vectors] = torch::linalg_eigh(centred.t().mm(centred).cpu());  // ascending
  const double all = variance.clamp_min(0).sum().item<double>();
  PrincipalPlane plane{torch::zeros({rows.size(0), 2}, torch::kDouble)};
  for (int64_t axis = 0; axis < std::min<int64_t>(2, rows.size(1)); ++axis) {
    const int64_t place = rows.size(1) - 1 - axis;
    Tensor vector = vectors.select(1, place);
    if (vector[vector.abs().argmax()].item<double>() < 0) vector = -vector;
    plane.at.select(1, axis).copy_(centred.mv(vector.to(centred.device())));
    (axis == 0 ? plane.first : plane.second) =
        all > 0 ? std::max(0.0, variance[place].item<double>()) / all : 0;
  }
  return plane;
}

}  // namespace foil
