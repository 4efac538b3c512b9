// SPDX-License-Identifier: BSD-3-Clause
#include <foil/cluster.h>
#include <torch/types.h>

#include <limits>

namespace foil {

at::Tensor sinkhorn(const at::Tensor& scores, double epsilon, int64_t iterations, Ranks& ranks) {
  torch::NoGradGuard no_grad;
  at::Tensor log_code = scores.detach() / epsilon;  // [B, prototypes]
  for (int64_t i = 0; i < iterations; ++i) {
    const at::Tensor own = log_code.size(0) > 0
                               ? log_code.logsumexp(0, /*keepdim=*/true)
                               : log_code.new_full({1, log_code.size(1)}, -std::numeric_limits<double>::infinity());
    log_code = log_code - ranks.gather(own).logsumexp(0);  // the mass of each prototype
    log_code = log_code - log_code.logsumexp(1, /*keepdim=*/true);
  }
  return log_code.exp().detach();
}

}  // namespace foil
