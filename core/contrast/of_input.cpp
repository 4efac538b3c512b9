// SPDX-License-Identifier: BSD-3-Clause
// The pairs of a loss's input: local rows, columns of all ranks.
#include <foil/contrast.h>

#include <torch/types.h>

namespace foil::contrast {
namespace {

// Global positions of this rank's samples: int64 [B].
Tensor own_positions(const LossInput& input) {
  return torch::arange(input.offset(), input.offset() + input.z.at(0).size(0),
                       input.z.at(0).options().dtype(at::kLong).requires_grad(false));
}
Tensor positions(const LossInput& input) {
  return torch::arange(input.global_batch(), input.z.at(0).options().dtype(at::kLong).requires_grad(false));
}

}  // namespace

Pairs between(const LossInput& input, int64_t a, int64_t b, Scale scale) {
  return {.row = {.data = input.z.at(static_cast<size_t>(a)), .id = own_positions(input)},
          .column = {.data = input.everyone(b), .id = positions(input)},
          .scale = std::move(scale)};
}

Pairs within(const LossInput& input, const Tensor& rows, Scale scale) {
  Pairs pairs{.row = {.data = rows, .id = own_positions(input)}, .scale = std::move(scale)};
  if (input.ranks->world_size() > 1) pairs.column = {.data = input.gather(rows), .id = positions(input)};
  return pairs;
}

Pairs among(const LossInput& input, Scale scale, LeftOut left_out) {
  const int64_t views = static_cast<int64_t>(input.z.size()), samples = input.global_batch();
  const int64_t step = left_out == LeftOut::sample ? 0 : samples;  // between the ids of a sample's views
  std::vector<Tensor> own, all;
  for (int64_t v = 0; v < views; ++v) {
    own.push_back(own_positions(input) + v * step);
    all.push_back(positions(input) + v * step);
  }
  Pairs pairs{.row = {.data = input.everyone(), .id = torch::cat(all)}, .scale = std::move(scale)};
  if (input.ranks->world_size() == 1) return pairs;
  pairs.column = pairs.row;
  pairs.row = {.data = torch::cat(input.z), .id = torch::cat(own)};
  return pairs;
}

Tensor all_rows(const LossInput& input, const Tensor& column_lse) {
  if (input.ranks->world_size() == 1) return column_lse;
  const Tensor all = input.gather(column_lse.unsqueeze(0));  // [W, N]
  const Tensor own = all.slice(1, input.offset(), input.offset() + input.z.at(0).size(0)).t();
  return masked_logsumexp(own, torch::ones_like(own, torch::kBool));
}

}  // namespace foil::contrast
