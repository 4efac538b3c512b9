// SPDX-License-Identifier: BSD-3-Clause
// The three passes of batch norm, with or without a ReLU behind it, over rows of channels in the CPU's
// memory: [B, C], or [B, C, H, W] stored channels last. Each reads its inputs once. Sums are taken in blocks
// of a fixed size and joined in double, so that they do not depend on the number of threads. PyTorch's own
// kernels take two passes more in each direction, for the ReLU.
#pragma once

#include <foil/ranks.h>

namespace foil::batch_norm_cpu {

// Whether the passes below take x: fp32 or fp64, in the memory of the CPU, in one of the two layouts.
bool takes(const at::Tensor& x);
// Mean and sum of squared distances from it, of each channel: fp64 [2 C]; of no rows: zeros.
at::Tensor moments(const at::Tensor& x);
// y = x * scale + shift, or max(y, 0). scale, shift: [C], any floating type.
at::Tensor affine(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift, bool relu);
// dy as the passes below read it: in the type and the layout of x.
at::Tensor in_layout_of(const at::Tensor& dy, const at::Tensor& x);
// With g = dy, or dy where x * scale + shift > 0: the sums over rows of g and of g * (x - mean): fp64 [2, C].
at::Tensor gradient_sums(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& mean,
                         const at::Tensor& scale, const at::Tensor& shift, bool relu);
// dx = (g - a - b * (x - mean)) * scale, g as above. a, b: [C].
at::Tensor input_gradient(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& mean,
                          const at::Tensor& scale, const at::Tensor& shift, const at::Tensor& a,
                          const at::Tensor& b, bool relu);

}  // namespace foil::batch_norm_cpu
