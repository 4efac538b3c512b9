// SPDX-License-Identifier: BSD-3-Clause
// The type that sums are made in.
#pragma once

#include <ATen/Tensor.h>

namespace foil {

// x in fp32 or wider: fp64 stays, all else becomes fp32.
inline at::Tensor at_least_fp32(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat);
}

}  // namespace foil
