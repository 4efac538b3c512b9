// SPDX-License-Identifier: BSD-3-Clause
#include <foil/sample_log.h>

#include <torch/types.h>

#include <limits>

namespace foil {
namespace {

constexpr double kUnseen = std::numeric_limits<float>::lowest();

}  // namespace

Tensor unseen_logs(int64_t rows) { return torch::full({rows}, kUnseen, torch::kDouble); }

Tensor read_logs(const Tensor& buffer, const Tensor& index, at::ScalarType type) {
  const Tensor logs = buffer.index_select(0, index).to(type);
  return logs.masked_fill(logs <= kUnseen, -std::numeric_limits<double>::infinity());
}

void write_logs(Tensor buffer, const Tensor& index, const Tensor& logs) {
  scatter_rows(std::move(buffer), index, logs.clamp_min(kUnseen), Duplicates::last);
}

Tensor moved_logs(const Tensor& before, const Tensor& now, const Tensor& rate) {
  return torch::where(now.isneginf(), before, torch::logaddexp((1 - rate).log() + before, rate.log() + now));
}

}  // namespace foil
