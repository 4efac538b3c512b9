// SPDX-License-Identifier: BSD-3-Clause
// Rows seen from the side on which they spread most.
#pragma once

#include <foil/view.h>

namespace foil {

struct PrincipalPlane {
  Tensor at;                     // fp64 [N, 2] on the CPU: centred, along the first and the second axis
  double first = 0, second = 0;  // the shares of the variance that the axes hold, in [0, 1]
};

// The first two principal components of rows [N, F]; each points where its largest entry is positive. Of one
// feature the second is 0.
PrincipalPlane principal_plane(const Tensor& rows);

}  // namespace foil
