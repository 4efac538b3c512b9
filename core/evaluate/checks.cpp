// SPDX-License-Identifier: BSD-3-Clause
// Checks and the unit sphere.
#include "evaluate/checks.h"

#include <torch/types.h>

#include <cmath>
#include <limits>

namespace foil {

void check_embeddings(const char* what, const Tensor& x) {
  if (!x.defined()) fail(Exit::failure, what, ": no tensor.");
  if (x.dim() != 2 || !x.is_floating_point() || x.size(0) == 0 || x.size(1) == 0) {
    fail(Exit::failure, what, ": got ", x.dtype().name(), " ", x.sizes(),
         ", allowed: floating [N, F] with N, F >= 1.");
  }
  // A sum is finite only if every term is, except for overflow; only then look closer. No copy of x.
  if (std::isfinite(x.sum(torch::kDouble).item<double>())) return;
  const Tensor bad = torch::isfinite(x).all(1).logical_not().nonzero();
  if (bad.size(0) > 0) {
    fail(Exit::non_finite, what, ": ", bad.size(0), " of ", x.size(0),
         " rows hold nan or inf, the first is row ", bad[0][0].item<int64_t>(), ".");
  }
}

Tensor checked_labels(const char* what, const Tensor& labels, int64_t rows, int64_t classes) {
  if (!labels.defined() || labels.dim() != 1 || labels.size(0) != rows) {
    fail(Exit::failure, what, ": ", labels.defined() ? labels.numel() : 0, " labels for ", rows, " rows.");
  }
  const Tensor label = labels.to(torch::kCPU, torch::kLong).contiguous();
  const int64_t low = label.min().item<int64_t>(), high = label.max().item<int64_t>();
  if (low < 0 || high >= classes)
    fail(Exit::data, what, ": labels from ", low, " to ", high, ", allowed: 0 to ", classes - 1, ".");
  return label;
}

Tensor unit_rows(const Tensor& x) {
  const Tensor wide = x.to(torch::kDouble);
  return wide / wide.norm(2, {1}, true).clamp_min(std::numeric_limits<double>::min());
}

}  // namespace foil
