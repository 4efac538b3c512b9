// SPDX-License-Identifier: BSD-3-Clause
#include "contrast/plain.h"

#include "api/wide.h"

#include <torch/types.h>

namespace foil::contrast {
namespace {

// What every channel reads: z [N, M], which pairs there are, which of them are alike.
struct Matrix {
  Tensor z, there, alike;
};

Tensor times(const Tensor& z, const Tensor& factor) {
  return factor.defined() ? z * factor.to(z.scalar_type()) : z;
}
Tensor plus(const Tensor& z, const Tensor& offset) {
  return offset.defined() ? z + offset.to(z.scalar_type()) : z;
}

Matrix matrix_of(const Pairs& pairs) {
  const Side& row = pairs.row;
  const Side& column = pairs.column.data.defined() ? pairs.column : pairs.row;
  const auto upright = [](const Tensor& x) { return x.defined() ? x.unsqueeze(1) : x; };
  Matrix all;
  all.z = torch::matmul(at_least_fp32(row.data), at_least_fp32(column.data).t());
  all.z = pairs.scale.tensor.defined() ? times(all.z, pairs.scale.tensor) : all.z * pairs.scale.value;
  all.z = times(times(all.z, upright(row.scale)), column.scale);
  all.z = plus(plus(all.z, upright(row.offset)), column.offset);
  all.there = row.id.defined() && column.id.defined() ? row.id.unsqueeze(1) != column.id
                                                      : torch::ones_like(all.z, torch::kBool);
  if (row.label.defined() && column.label.defined()) all.alike = same_class(row.label, column.label);
  return all;
}

Tensor phi_of(Phi phi, const Tensor& z) {
  switch (phi) {
    case Phi::identity:
      return z;
    case Phi::exp:
      return z.exp();
    case Phi::softplus:
      return softplus(z);
    case Phi::sigmoid:
      return z.sigmoid();
    case Phi::hinge:
      return z.clamp_min(0);
    case Phi::squared_hinge:
      return z.clamp_min(0).square();
  }
  return {};
}

// Over the second axis: [N] from [N, M].
Tensor reduced(const Channel& channel, const Tensor& z, const Tensor& counts) {
  switch (channel.kind) {
    case Channel::Kind::lse:
      return masked_logsumexp(z, counts);
    case Channel::Kind::sum:
      return torch::where(counts, phi_of(channel.phi, torch::where(counts, z, torch::zeros_like(z))),
                          torch::zeros_like(z))
          .sum(1);
    case Channel::Kind::max:
      break;
  }
  const Tensor lowest = torch::full({z.size(0), 1}, -std::numeric_limits<double>::infinity(), z.options());
  return torch::cat({lowest, torch::where(counts, z, lowest)}, 1).amax(1).variable_data();
}

Tensor result_of(const Channel& channel, const Matrix& all, const std::vector<int64_t>& segments) {
  Tensor counts = all.there;
  if (channel.which != Which::all)
    counts = counts.logical_and(channel.which == Which::alike ? all.alike : all.alike.logical_not());
  const Tensor z = all.z * channel.slope;
  if (channel.per == Per::column) return reduced(channel, z.t(), counts.t());
  if (segments.empty()) return reduced(channel, z, counts);
  const std::vector<Tensor> parts = z.split_with_sizes(segments, 1),
                            of = counts.split_with_sizes(segments, 1);
  std::vector<Tensor> results;
  for (size_t i = 0; i < parts.size(); ++i) results.push_back(reduced(channel, parts[i], of[i]));
  return torch::stack(results, 1);
}

}  // namespace

std::vector<Tensor> plain_reduce(const Pairs& pairs, const std::vector<Channel>& channels) {
  const Matrix all = matrix_of(pairs);
  std::vector<Tensor> results;
  for (const Channel& channel : channels) results.push_back(result_of(channel, all, pairs.segments));
  return results;
}

Tensor plain_average(const Pairs& pairs, const Tensor& positive, const Channel& channel) {
  const Tensor result = result_of(channel, matrix_of(pairs), {});
  return positive.defined() ? softplus(result - positive.to(result.scalar_type())) : result;
}

}  // namespace foil::contrast
